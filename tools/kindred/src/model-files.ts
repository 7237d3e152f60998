// The main thread's side of the models' formats.
import { createWorkerPool, workerEntry } from '@kindred/workers';
import type { CheckpointRequest, ImportRequest, ImportResult, ModelFacts, ModelFormat } from './model-files.worker.js';
import type * as ModelFilesWorker from './model-files.worker.js';

/** Turns models from one format into others, off this thread. */
export interface ModelFiles {
  describe(file: Uint8Array): Promise<ModelFacts>;
  convert(file: Uint8Array, format: ModelFormat): Promise<Uint8Array>;
  checkpoint(request: CheckpointRequest): Promise<Uint8Array>;
  read(request: ImportRequest): Promise<ImportResult>;
}

/** Does `work` with a thread that lives as long. */
export async function withModelFiles<T>(work: (files: ModelFiles) => Promise<T>): Promise<T> {
  const pool = createWorkerPool<typeof ModelFilesWorker>({ entry: workerEntry(import.meta.url, 'model-files') });
  try {
    return await work({
      describe: (file) => pool.run('describe', file),
      convert: (file, format) => pool.run('convert', { file, format }),
      checkpoint: (request) => pool.run('checkpoint', request),
      read: (request) => pool.run('read', request),
    });
  } finally {
    await pool.close();
  }
}
