import type { Command } from 'commander';
export function addDataset(_program: Command): void {}
