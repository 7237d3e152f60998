// Folders that look like `dist/services` to the supervisor and start the stand-ins.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { serviceNames } from './supervisor.js';

/** Folder of what the stand-ins in `folder` keep over their processes' ends. */
export const fakeState = (folder: string): string => join(folder, 'state');

/** Writes `<folder>/<service>/main.js` for all four; returns `folder`. */
export function writeFakeBundles(folder: string): string {
  const loader = import.meta.resolve('tsx/esm/api');
  const fake = pathToFileURL(join(import.meta.dirname, 'fake-service.ts')).href;
  for (const name of serviceNames) {
    mkdirSync(join(folder, name), { recursive: true });
    writeFileSync(join(folder, name, 'package.json'), '{"type":"module"}');
    writeFileSync(
      join(folder, name, 'main.js'),
      `import { register } from '${loader}';\nregister();\n` +
        `const { startFakeService } = await import('${fake}');\n` +
        `await startFakeService('${name}', ${JSON.stringify(fakeState(folder))});\n`,
    );
  }
  return folder;
}
