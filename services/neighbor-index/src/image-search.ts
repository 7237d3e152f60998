// An image's vector from the embedding service, asked no more for a while after it has failed several times in a row.
import { KindredError, invalidField, isKindredError } from '@kindred/errors';
import { EmbeddingServiceDefinition } from '@kindred/protocol/embedding';
import { connect, float32Of } from '@kindred/service-runtime';
import { contractLimits } from './limits.js';

/** Asks for vectors of images. */
export interface ImageVectors {
  /** [dimension]. UNAVAILABLE while the embedding service does not answer. */
  vectorOf(model: string, image: Uint8Array, signal: AbortSignal): Promise<Float32Array>;
  close(): void;
}

/** How many failures in a row open the circuit, and for how long, in milliseconds. */
export const circuit = { failures: 5, openMs: 10_000, deadlineMs: 10_000 } as const;

/** Calls the embedding service at `address`; the connection is made with the first call. `now`: milliseconds. */
export function createImageVectors(address: string, now: () => number = Date.now): ImageVectors {
  const connection = connect(EmbeddingServiceDefinition, { service: 'embedding', address });
  let failures = 0;
  let openUntil = 0;
  return {
    async vectorOf(model, image, signal) {
      if (image.byteLength === 0 || image.byteLength > contractLimits.imageBytes) {
        throw invalidField('image', `got ${image.byteLength} bytes; allowed: 1 to ${contractLimits.imageBytes}`);
      }
      if (model === '') throw invalidField('model', 'got nothing; needed: a model of the embedding service');
      const left = openUntil - now();
      if (left > 0) {
        throw new KindredError(
          'UNAVAILABLE',
          `the embedding service at ${address} failed ${failures} times in a row; it is asked again in ${Math.ceil(left / 1000)} s`,
          { resource: { type: 'service', name: 'embedding' }, retryAfterMs: left },
        );
      }
      // Of the calls after a pause one tries; the others are refused until it has ended.
      if (failures >= circuit.failures) openUntil = now() + circuit.openMs;
      try {
        const limited = AbortSignal.any([signal, AbortSignal.timeout(circuit.deadlineMs)]);
        const images = { $case: 'encoded' as const, value: { images: [image] } };
        const answer = await connection.client.embed({ model, images }, { signal: limited });
        failures = 0;
        openUntil = 0;
        return float32Of(answer.vectors, 'vectors');
      } catch (thrown) {
        if (signal.aborted) throw thrown;
        const silent =
          isKindredError(thrown, 'UNAVAILABLE') || (thrown instanceof Error && thrown.name === 'AbortError');
        if (!silent) {
          failures = 0;
          openUntil = 0;
          throw thrown;
        }
        if (++failures >= circuit.failures) openUntil = now() + circuit.openMs;
        if (isKindredError(thrown)) throw thrown;
        throw new KindredError(
          'UNAVAILABLE',
          `the embedding service at ${address} does not answer within ${circuit.deadlineMs / 1000} s`,
          {
            resource: { type: 'service', name: 'embedding' },
            cause: thrown,
          },
        );
      }
    },
    close: () => connection.close(),
  };
}
