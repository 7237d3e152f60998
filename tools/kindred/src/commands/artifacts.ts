// `kindred artifacts`: what lies in the artifact store, for people and for other tools.
import type { Command } from 'commander';
import { addArtifactsExport } from './artifacts-export.js';
import { addArtifactsImport } from './artifacts-import.js';

/** Adds the commands. */
export function addArtifacts(program: Command): void {
  const artifacts = program
    .command('artifacts')
    .description('what runs have made: out to other tools, and in from them');
  for (const add of [addArtifactsExport, addArtifactsImport]) add(artifacts);
}
