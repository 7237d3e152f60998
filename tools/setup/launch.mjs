// `npm run kindred -- ARGS`: runs a bundled tool in this very process, so that signals, terminal and exit code are its own.
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const args = process.argv.slice(2);
const named = args[0] === '--tool';
const tool = named ? args[1] : 'kindred';
if (tool === undefined || !/^[a-z][a-z-]*$/.test(tool)) {
  console.error(`usage: node tools/setup/launch.mjs [--tool NAME] ARGS…; got the name '${tool ?? ''}'`);
  process.exit(2);
}
const main = resolve(import.meta.dirname, `../../dist/tools/${tool}/main.js`);
if (!existsSync(main)) {
  console.error(`'${tool}' is not built in this checkout. Type this, then try again:\n  npm run setup`);
  process.exit(3);
}
process.argv.splice(1, process.argv.length - 1, main, ...args.slice(named ? 2 : 0));
process.setSourceMapsEnabled(true);
await import(pathToFileURL(main).href);
