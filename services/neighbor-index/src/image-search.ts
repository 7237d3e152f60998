// An image's vector from the embedding service, which is let be for a while after it has failed several times in a row.
import { KindredError, invalidField } from '@kindred/errors';
import { EmbeddingServiceDefinition } from '@kindred/protocol/embedding';
import { connect, createPeerPolicy, float32Of } from '@kindred/service-runtime';
import { contractLimits } from './limits.js';

/** Asks for vectors of images. */
export interface ImageVectors {
  /**
   * [dimension]. INVALID_ARGUMENT: no image or a large one, no model; NOT_FOUND: no such model; UNAVAILABLE: the embedding
   * service does not answer, with RetryInfo while it is not asked at all.
   */
  vectorOf(model: string, image: Uint8Array, signal: AbortSignal): Promise<Float32Array>;
  close(): void;
}

/** How the embedding service is asked: tries of a call, how long each waits, and when it is let be for how long, in milliseconds. */
export interface ImagePatience {
  readonly maxAttempts: number;
  readonly deadlineMs: number;
  readonly breakAfter: number;
  readonly breakMs: number;
}

/** The contract's numbers. */
export const defaultPatience: ImagePatience = { maxAttempts: 2, deadlineMs: 10_000, breakAfter: 5, breakMs: 10_000 };

/** Calls the embedding service at `address`; the connection is made with the first call. */
export function createImageVectors(address: string, patience: ImagePatience = defaultPatience): ImageVectors {
  const { maxAttempts, deadlineMs, breakAfter, breakMs } = patience;
  const connection = connect(EmbeddingServiceDefinition, { service: 'embedding', address });
  const policy = createPeerPolicy({ service: 'embedding', maxAttempts, breakAfter, breakMs });

  /** A service that says nothing counts as one that does not answer. */
  const ask = async (model: string, image: Uint8Array, signal: AbortSignal): Promise<Float32Array> => {
    const timeout = AbortSignal.timeout(deadlineMs);
    const images = { $case: 'encoded' as const, value: { images: [image] } };
    try {
      const limited = AbortSignal.any([signal, timeout]);
      const answer = await connection.client.embed({ model, images }, { signal: limited });
      return float32Of(answer.vectors, 'vectors');
    } catch (thrown) {
      if (!timeout.aborted || signal.aborted) throw thrown;
      throw new KindredError('UNAVAILABLE', `the embedding service at ${address} said nothing for ${deadlineMs} ms`, {
        resource: { type: 'service', name: 'embedding' },
        cause: thrown,
      });
    }
  };

  return {
    async vectorOf(model, image, signal) {
      if (image.byteLength === 0 || image.byteLength > contractLimits.imageBytes) {
        throw invalidField('image', `got ${image.byteLength} bytes; allowed: 1 to ${contractLimits.imageBytes}`);
      }
      if (model === '') throw invalidField('model', 'got nothing; needed: a model of the embedding service');
      return policy.call(() => ask(model, image, signal), { signal });
    },
    close: () => connection.close(),
  };
}
