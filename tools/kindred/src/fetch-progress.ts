// Fetching a data set's archive, with a bar on a terminal and a line for every tenth elsewhere.
import { fetchDataset, type FetchDatasetOptions } from '@kindred/datasets';
import type { Bar, Output } from './output.js';
import { formatBytes, formatDuration } from './quantities.js';

/** Fetches `name` and says how far it is. Interrupted, it keeps what came for the next time. */
export async function fetchWithProgress(name: string, options: FetchDatasetOptions, output: Output): Promise<void> {
  let bar: Bar | null = null;
  let first: { readonly at: number; readonly done: number } | null = null;
  let tenths = -1;
  let phase = '';
  const stop = (): void => {
    bar?.stop();
    bar = null;
  };
  try {
    const { folder, alreadyPresent } = await fetchDataset(name, {
      ...options,
      onProgress(progress) {
        const { done, total } = progress;
        if (progress.phase !== phase) {
          stop();
          phase = progress.phase;
          if (phase !== 'download') return output.text(`unpacking ${name}`);
        }
        if (phase !== 'download') return;
        first ??= { at: Date.now(), done };
        const rate = (done - first.done) / ((Date.now() - first.at) / 1000);
        const size = total === null || total === 0 ? '' : ` of ${formatBytes(total)}`;
        const left = size === '' ? '' : `, ${formatDuration(((total ?? 0) - done) / rate)} left`;
        const note = `${formatBytes(done)}${size}, ${Number.isFinite(rate) ? formatBytes(rate) : '–'}/s${left}`;
        bar ??= output.bar(`fetching ${name}`, total ?? 1);
        bar.update(done, note);
        const now = total === null || total === 0 ? Math.floor(done / 2 ** 24) : Math.floor((done / total) * 10);
        if (now === tenths) return;
        tenths = now;
        if (!output.interactive) output.text(`fetching ${name}: ${note}`);
        output.event('fetching', { name, done, total });
      },
    });
    stop();
    output.text(alreadyPresent ? `${name} lies in ${folder} already` : `${name} lies in ${folder}`);
    output.result({ name, folder, alreadyPresent });
  } finally {
    stop();
  }
}
