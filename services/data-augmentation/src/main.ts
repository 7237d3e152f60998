// The data-augmentation service: wires datasets, threads and the gRPC door together.
import { createLogger, runMain, startService } from '@kindred/service-runtime';
import { createAugmentation } from './augmentation.js';
import { augmentationDefinition } from './batch-message.js';
import { loadConfig } from './config.js';
import { roles } from './roles.js';

await runMain('data-augmentation', async () => {
  const config = loadConfig();
  const logger = createLogger('data-augmentation');
  const augmentation = createAugmentation(config, logger);
  await startService({
    name: 'data-augmentation',
    network: config.network,
    logger,
    register: (registrar) => registrar.add(augmentationDefinition, augmentation.handlers, roles),
    onDrain: () => augmentation.drain(),
    onClose: () => augmentation.close(),
  });
});
