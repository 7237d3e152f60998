// The built embedding service as a process of its own, over a store with small models.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createFolderStore } from '@kindred/artifact-store';
import { createArchitecture, encodeModelFile, initialParameters } from '@kindred/simclr';
import { temporaryFolder } from '@kindred/testing';

/** The checkout. */
export const root = resolve(import.meta.dirname, '../../..');

/** A service that listens. */
export interface EmbeddingProcess {
  readonly address: string;
  stop(): Promise<void>;
}

/** Starts it with the models `names`, each of other weights; crops of 32 pixels, vectors of 16 numbers. */
export async function startEmbeddingProcess(names: readonly string[]): Promise<EmbeddingProcess> {
  const artifacts = join(temporaryFolder(), 'artifacts');
  const store = await createFolderStore(artifacts);
  const architecture = createArchitecture({ width: 4, featureDim: 16 });
  for (const [i, name] of names.entries()) {
    const file = encodeModelFile({
      architecture,
      parameters: initialParameters(architecture, i + 1),
      normalisation: { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] },
      cropSize: 32,
      origin: {},
    });
    await store.put(`runs/${name}/model.safetensors`, file);
  }
  const bundle = join(root, 'dist/services/embedding/main.js');
  if (!existsSync(bundle)) throw new Error(`no ${bundle}; run 'npm run setup'`);
  const child = fork(bundle, [], {
    env: {
      ...process.env,
      KINDRED_ARTIFACT_STORE: artifacts,
      KINDRED_EMBEDDING_PORT: '0',
      KINDRED_EMBEDDING_METRICS_PORT: '0',
      KINDRED_EMBEDDING_MAX_BATCH: '8',
      KINDRED_LOG_LEVEL: 'error',
    },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const [{ address }] = (await once(child, 'message')) as [{ readonly address: string }];
  return {
    address,
    async stop() {
      const gone = once(child, 'exit');
      child.kill('SIGTERM');
      await gone;
    },
  };
}
