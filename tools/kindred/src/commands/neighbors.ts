import type { Command } from 'commander';
export function addNeighbors(_program: Command): void {}
