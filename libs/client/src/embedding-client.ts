// A client of the embedding service: any number of images in, their vectors out.
import { KindredError, invalidField, isKindredError } from '@kindred/errors';
import {
  EmbeddingServiceDefinition,
  FeatureKind,
  type EmbedRequest,
  type EmbedResponse,
  type GetInfoResponse,
} from '@kindred/protocol/embedding';
import { connect, float32Of, type ClientSecurity } from '@kindred/service-runtime';
import { withRetries } from './retry.js';

/** How to reach the service. */
export interface EmbeddingClientOptions {
  /** `host:port`, or `dns:///name:port` for all replicas behind a headless service. */
  readonly address: string;
  /** `name`, `name@version` or `name@alias`. */
  readonly model: string;
  /** TLS and token. @default what the environment says (docs/security.md) */
  readonly security?: ClientSecurity;
  /** Time for one `embed`, retries included, in milliseconds. @default 60,000 */
  readonly deadlineMs?: number;
  /** Requests at one time. @default 4 */
  readonly maxConcurrent?: number;
  /** Images a request. @default 64, or the service's limit where that is less */
  readonly maxBatch?: number;
}

/** Pixels that need no decoding. */
export interface Pixels {
  /** uint8 [count, height, width, 3]. */
  readonly pixels: Uint8Array;
  readonly count: number;
  readonly height: number;
  readonly width: number;
}

/** Encoded images (JPEG, PNG, WebP, AVIF, GIF), or pixels. */
export type Images = readonly Uint8Array[] | Pixels;

/** How one `embed` differs from the client's settings. */
export interface EmbedOptions {
  /** Which vector of the network. @default 'embedding' */
  readonly kind?: 'embedding' | 'backbone';
  /** Whether images that cannot be used are left out instead of failing the call. @default false */
  readonly partial?: boolean;
  readonly signal?: AbortSignal;
}

/** An image without a vector. */
export interface RefusedImage {
  /** Its position in what was handed to `embed`. */
  readonly index: number;
  /** Name of the gRPC status code. */
  readonly code: string;
  readonly message: string;
}

/** What `embed` gives. */
export interface Embedded {
  /** By image; null for those of `refused`. */
  readonly vectors: readonly (Float32Array | null)[];
  /** Numbers a vector. */
  readonly dimension: number;
  readonly model: string;
  /** The one version that made all of them. */
  readonly version: string;
  /** Empty unless `partial`. */
  readonly refused: readonly RefusedImage[];
}

/** A client. */
export interface EmbeddingClient {
  /**
   * Embeds images, in requests as large as the service takes, several at one time; a full queue is waited for as the service
   * says. All vectors are of one version of the model, also where it is replaced meanwhile. Errors are KindredErrors:
   * INVALID_ARGUMENT names each image by `images[i]`; RESOURCE_EXHAUSTED, UNAVAILABLE once the deadline leaves no time for another try.
   */
  embed(images: Images, options?: EmbedOptions): Promise<Embedded>;
  /** The service's limits and loaded models. */
  info(): Promise<GetInfoResponse>;
  /** Closes the connection. */
  close(): void;
}

interface Part {
  /** Position of its first image. */
  readonly start: number;
  readonly count: number;
  readonly images: EmbedRequest['images'];
}

const defaultBatch = 64;
/** Left free in each message for all that is not images. */
const messageOverhead = 64 * 1024;
const firstPauseMs = 50;
/** Starts from the beginning where the version in use goes away. */
const maxStarts = 3;

/** Makes a client; the connection opens with the first call. */
export function createEmbeddingClient(options: EmbeddingClientOptions): EmbeddingClient {
  const { address, model, security, deadlineMs = 60_000, maxConcurrent = 4, maxBatch = defaultBatch } = options;
  const { client, close } = connect(EmbeddingServiceDefinition, { service: 'embedding', address, security });
  let limits: Promise<GetInfoResponse> | null = null;

  const limitsOf = (): Promise<GetInfoResponse> => {
    limits ??= client.getInfo({}, { deadlineMs });
    limits.catch(() => (limits = null));
    return limits;
  };

  const embedAll = async (images: Images, chosen: EmbedOptions, until: number): Promise<Embedded> => {
    const signal = chosen.signal ?? new AbortController().signal;
    const retry = { until, firstPauseMs, signal };
    const { maxImages, maxMessageBytes } = await withRetries(limitsOf, retry);
    const parts = partsOf(images, Math.min(maxBatch, maxImages), Number(maxMessageBytes) - messageOverhead);
    const featureKind = chosen.kind === 'backbone' ? FeatureKind.BACKBONE : FeatureKind.EMBEDDING;
    const send = (part: Part, version: string): Promise<EmbedResponse> =>
      withRetries(
        () =>
          client.embed(
            { model: version, images: part.images, featureKind },
            { signal, deadlineMs: until - Date.now() },
          ),
        retry,
      );

    const [first, ...rest] = parts;
    if (first === undefined) return { vectors: [], dimension: 0, model, version: '', refused: [] };
    // The version that answers first answers the rest, whatever the name stands for by then.
    const answers: { readonly part: Part; readonly response: EmbedResponse }[] = [];
    let pinned = model;
    const work = async (part: Part): Promise<void> => {
      const response = await orAllRefused(send(part, pinned), part, chosen);
      answers.push({ part, response });
      if (response.modelVersion !== '') pinned = `${response.model}@${response.modelVersion}`;
    };
    await work(first);
    await Promise.all(
      Array.from({ length: Math.min(maxConcurrent, rest.length) }, async () => {
        for (let part = rest.shift(); part !== undefined; part = rest.shift()) await work(part);
      }),
    );
    return gathered(answers, chosen.partial === true);
  };

  return {
    async embed(images, chosen = {}) {
      const until = Date.now() + deadlineMs;
      for (let start = 1; ; start++) {
        try {
          return await embedAll(images, chosen, until);
        } catch (thrown) {
          // The version that had answered is gone, replaced by another: all of it once more.
          const isGone = isKindredError(thrown, 'NOT_FOUND') && thrown.resource?.name.includes('@') === true;
          if (!isGone || model === thrown.resource?.name || start === maxStarts) throw thrown;
        }
      }
    },
    info: () => client.getInfo({}, { deadlineMs }),
    close,
  };
}

/** Cuts images into requests of at most `maxImages` and `maxBytes`. @throws KindredError INVALID_ARGUMENT for one that no message holds. */
function partsOf(images: Images, maxImages: number, maxBytes: number): Part[] {
  if (!Array.isArray(images)) return partsOfPixels(images as Pixels, maxImages, maxBytes);
  const parts: Part[] = [];
  let open: Uint8Array[] = [];
  let bytes = 0;
  const end = (next: number): void => {
    if (open.length === 0) return;
    const value = { images: open };
    parts.push({ start: next - open.length, count: open.length, images: { $case: 'encoded', value } });
    open = [];
    bytes = 0;
  };
  (images as readonly Uint8Array[]).forEach((image, i) => {
    if (image.length > maxBytes)
      throw invalidField(`images[${i}]`, `got ${image.length} bytes; allowed: ${maxBytes} a message`);
    if (open.length === maxImages || bytes + image.length > maxBytes) end(i);
    open.push(image);
    bytes += image.length;
  });
  end(images.length);
  return parts;
}

function partsOfPixels({ pixels, count, height, width }: Pixels, maxImages: number, maxBytes: number): Part[] {
  const each = height * width * 3;
  if (pixels.length !== count * each || each < 1)
    throw invalidField('pixels', `got ${pixels.length} bytes; allowed: ${count * each} for ${count} images`);
  if (each > maxBytes) throw invalidField('pixels', `got ${each} bytes an image; allowed: ${maxBytes} a message`);
  const most = Math.max(1, Math.min(maxImages, Math.floor(maxBytes / each)));
  return Array.from({ length: Math.ceil(count / most) }, (_, part) => {
    const start = part * most;
    const size = Math.min(most, count - start);
    const value = { pixels: pixels.subarray(start * each, (start + size) * each), count: size, height, width };
    return { start, count: size, images: { $case: 'raw', value } };
  });
}

/** Where every image of a part is refused the call fails; with `partial` that is an answer like others. */
async function orAllRefused(
  answer: Promise<EmbedResponse>,
  part: Part,
  { partial }: EmbedOptions,
): Promise<EmbedResponse> {
  try {
    return await answer;
  } catch (thrown) {
    if (!isKindredError(thrown, 'INVALID_ARGUMENT')) throw thrown;
    const errors = thrown.violations.flatMap(({ field, description }) => {
      const index = Number(/\[(\d+)\]$/.exec(field)?.[1] ?? NaN);
      return Number.isNaN(index) ? [] : [{ index, code: thrown.code, message: description }];
    });
    if (errors.length !== part.count) throw thrown;
    if (partial !== true) throw refusal(errors.map(({ index, ...error }) => ({ ...error, index: part.start + index })));
    const nothing = { vectors: new Uint8Array(0), count: part.count, dimension: 0, model: '', modelVersion: '' };
    return { ...nothing, errors, timing: undefined };
  }
}

function gathered(
  answers: readonly { readonly part: Part; readonly response: EmbedResponse }[],
  partial: boolean,
): Embedded {
  const sorted = [...answers].sort((a, b) => a.part.start - b.part.start);
  const refused = sorted.flatMap(({ part, response }) =>
    response.errors.map(({ index, code, message }) => ({ index: part.start + index, code, message })),
  );
  if (refused.length > 0 && !partial) throw refusal(refused);
  const vectors = sorted.flatMap(({ response }) => rowsOf(response));
  for (const { index } of refused) vectors[index] = null;
  const named = sorted.find(({ response }) => response.modelVersion !== '')?.response;
  return {
    vectors,
    dimension: named?.dimension ?? 0,
    model: named?.model ?? '',
    version: named?.modelVersion ?? '',
    refused,
  };
}

function rowsOf({ vectors, count, dimension }: EmbedResponse): (Float32Array | null)[] {
  if (dimension === 0) return Array.from({ length: count }, () => null);
  const numbers = float32Of(vectors, 'vectors');
  return Array.from({ length: count }, (_, i) => numbers.slice(i * dimension, (i + 1) * dimension));
}

function refusal(refused: readonly RefusedImage[]): KindredError {
  const violations = refused.map(({ index, message }) => ({ field: `images[${index}]`, description: message }));
  const text = `${refused.length} images cannot be used; first: images[${refused[0]?.index}]: ${refused[0]?.message}`;
  return new KindredError('INVALID_ARGUMENT', text, { violations });
}
