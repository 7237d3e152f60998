// One of many processes that change one model at once: `node change-models.ts STORE WORKER CHANGES`. It registers
// versions and moves aliases by turns, and prints a line for each change once that has returned.
import { openStore } from '@kindred/artifact-store';
import { createModelRegistry } from '@kindred/lineage';

const [location = '', worker = '', changes = '0'] = process.argv.slice(2);
const registry = createModelRegistry(await openStore(location));
for (let i = 0; i < Number(changes); i++) {
  const file = {
    key: `runs/${worker}-${i}/model.safetensors`,
    sha256: 'ab'.repeat(32),
    size: 1,
    source: { kind: 'run', id: `${worker}-${i}` } as const,
    description: '',
  };
  const { version } = await registry.register('cats', file);
  process.stdout.write(`version ${version} ${file.key}\n`);
  await registry.setAlias('cats', `of-${worker}`, version);
  process.stdout.write(`alias of-${worker} ${version}\n`);
}
