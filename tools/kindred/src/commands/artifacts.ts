// `kindred artifacts`: what lies in the artifact store, for people and for other tools.
import type { Command } from 'commander';
import { addArtifactsExport } from './artifacts-export.js';
import { addArtifactsGc } from './artifacts-gc.js';
import { addArtifactsImport } from './artifacts-import.js';
import { addArtifactsList } from './artifacts-list.js';
import { addArtifactsVerify } from './artifacts-verify.js';

/** Adds the commands. */
export function addArtifacts(program: Command): void {
  const artifacts = program
    .command('artifacts')
    .description('what was made: where it comes from, whether it is whole; out to other tools, and in from them');
  const all = [addArtifactsList, addArtifactsVerify, addArtifactsGc, addArtifactsExport, addArtifactsImport];
  for (const add of all) add(artifacts);
}
