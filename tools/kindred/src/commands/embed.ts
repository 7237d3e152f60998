import type { Command } from 'commander';
export function addEmbed(_program: Command): void {}
