// Starts the data-augmentation service.
import { AugmentationServiceDefinition } from '@kindred/protocol/augmentation';
import { createLogger, startService } from '@kindred/service-runtime';
import { loadConfig } from './config.js';
import { createAugmentation } from './augmentation.js';

const logger = createLogger('data-augmentation');

try {
  const config = loadConfig();
  const augmentation = createAugmentation(config);
  await startService({
    name: 'data-augmentation',
    network: config.network,
    logger,
    register: (registrar) => registrar.add(AugmentationServiceDefinition, augmentation.handlers),
    onDrain: () => augmentation.drain(),
    onClose: () => augmentation.close(),
  });
} catch (thrown) {
  logger.fatal({ err: thrown }, thrown instanceof Error ? thrown.message : String(thrown));
  process.exitCode = 1;
}
