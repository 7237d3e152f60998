#!/usr/bin/env node
// `kindred` as npm links it: runs the bundle, or says how to make it.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const bundle = fileURLToPath(new URL('../../../dist/tools/kindred/main.js', import.meta.url));
if (existsSync(bundle)) {
  process.setSourceMapsEnabled(true);
  await import(bundle);
} else {
  console.error("kindred is not built yet; run 'npm run setup' and 'npm run build' in its folder");
  process.exitCode = 1;
}
