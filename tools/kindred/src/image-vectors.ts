// Image files → vectors, through the embedding service.
import { readFile } from 'node:fs/promises';
import { KindredError } from '@kindred/errors';
import { FeatureKind } from '@kindred/protocol/embedding';
import { float32Of } from '@kindred/service-runtime';
import type { Session } from './session.js';

/** Images a call: the service takes 256, and 64 MiB. */
const imagesPerCall = 32;

/** Embeds image files, in order. @throws KindredError NOT_FOUND or INVALID_ARGUMENT naming the file. */
export async function embedFiles(
  { embedding, signal }: Session,
  model: string,
  paths: readonly string[],
  featureKind: FeatureKind = FeatureKind.EMBEDDING,
): Promise<Float32Array[]> {
  const vectors: Float32Array[] = [];
  for (let first = 0; first < paths.length; first += imagesPerCall) {
    const part = paths.slice(first, first + imagesPerCall);
    const images = await Promise.all(part.map(readImage));
    const answer = await embedding
      .embed({ model, images: { $case: 'encoded', value: { images } }, featureKind, allOrNothing: true }, { signal })
      .catch((thrown: unknown) => {
        throw withNames(thrown, part);
      });
    const numbers = float32Of(answer.vectors, 'vectors');
    for (let i = 0; i < answer.count; i++)
      vectors.push(numbers.slice(i * answer.dimension, (i + 1) * answer.dimension));
  }
  return vectors;
}

async function readImage(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (thrown) {
    throw new KindredError('NOT_FOUND', `image '${path}' cannot be read: ${(thrown as Error).message}`, {
      resource: { type: 'file', name: path },
      cause: thrown,
    });
  }
}

/** The service knows images by position; people know them by name. */
function withNames(thrown: unknown, paths: readonly string[]): unknown {
  if (!(thrown instanceof KindredError) || thrown.code !== 'INVALID_ARGUMENT') return thrown;
  const violations = thrown.violations.map(({ field, description }) => {
    const position = /(\d+)/.exec(field)?.[1];
    const path = position === undefined ? undefined : paths[Number(position)];
    return path === undefined ? { field, description } : { field: path, description };
  });
  const named = violations.map(({ field, description }) => `${field}: ${description}`);
  return new KindredError('INVALID_ARGUMENT', named.length === 0 ? thrown.message : named.join('\n'), {
    violations,
    cause: thrown,
  });
}
