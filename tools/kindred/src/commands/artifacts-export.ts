// `kindred artifacts export`: a run as a folder that other tools read.
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { withModelFiles } from '../model-files.js';
import { formatBytes } from '../quantities.js';
import { table } from '../output.js';
import { exportRun } from '../run-export.js';
import { runWithStore } from '../stored.js';

interface ExportOptions {
  readonly to: string;
  readonly replace?: boolean;
}

/** Adds the command. */
export function addArtifactsExport(artifacts: Command): void {
  artifacts
    .command('export <run>')
    .description('write a finished run to a folder: PyTorch, TensorFlow, ONNX, safetensors, numpy, a report')
    .requiredOption('--to <dir>', "folder, as the reference's root_dir: files go to DIR/<data set>/")
    .option('--replace', "replace another run's files there")
    .addHelpText(
      'after',
      `
docs/formats.md says what each file is and which tool reads it.
Example:
  kindred artifacts export my-run --to results`,
    )
    .action((run: string, options: ExportOptions, command: Command) =>
      runWithStore(command, async (store, { output }) => {
        const { path, report } = await withModelFiles((models) =>
          exportRun(store, models, run, {
            to: resolve(options.to),
            replace: options.replace === true,
            onFile: (file) => output.event('file', { file }),
          }),
        );
        const rows = report.files.map(({ path: file, bytes, sha256 }) => [
          file,
          formatBytes(bytes),
          `${sha256.slice(0, 16)}…`,
        ]);
        for (const line of table([['FILE', 'SIZE', 'SHA-256'], ...rows], [1])) output.text(line);
        for (const key of report.missing)
          output.warn(`the run has no ${key}: 'kindred pretext --resume ${run}' makes it`);
        output.text(`run ${run} is in ${path}`);
        output.result({ folder: path, ...report });
      }),
    );
}
