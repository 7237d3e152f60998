// A client of the embedding service: any number of images in, their vectors out.
import { KindredError, isKindredError, toKindredError } from '@kindred/errors';
import {
  EmbeddingServiceDefinition,
  FeatureKind,
  type EmbedResponse,
  type GetInfoResponse,
} from '@kindred/protocol/embedding';
import { connect, float32Of, type ClientSecurity } from '@kindred/service-runtime';
import { beyondLimits, imageCount, partsOf, type Images, type Part } from './request-parts.js';
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
   * INVALID_ARGUMENT names images by `images[i]`; RESOURCE_EXHAUSTED, UNAVAILABLE once the deadline leaves no time for another try;
   * CANCELLED once `signal` is aborted.
   */
  embed(images: Images, options?: EmbedOptions): Promise<Embedded>;
  /** The service's limits and loaded models. */
  info(): Promise<GetInfoResponse>;
  /** Closes the connection. */
  close(): void;
}

interface Answer {
  readonly part: Part;
  readonly response: EmbedResponse;
  /** Images of the part that another answer is about. */
  readonly without?: ReadonlySet<number>;
}

const defaultBatch = 64;
const firstPauseMs = 50;
/** Starts from the beginning where the version in use goes away. */
const maxStarts = 3;

/** Makes a client; the connection opens with the first call. */
export function createEmbeddingClient(options: EmbeddingClientOptions): EmbeddingClient {
  const { address, model, security, deadlineMs = 60_000, maxConcurrent = 4, maxBatch = defaultBatch } = options;
  const { client, close } = connect(EmbeddingServiceDefinition, { service: 'embedding', address, security });
  let limits: GetInfoResponse | null = null;

  /** Asked by each call until one has them: no call waits for another's, which may have more time and another signal. */
  const limitsOf = async (until: number, signal: AbortSignal): Promise<GetInfoResponse> =>
    (limits ??= await client.getInfo({}, { signal, deadlineMs: until - Date.now() }));

  const embedAll = async (images: Images, chosen: EmbedOptions, until: number): Promise<Embedded> => {
    const signal = chosen.signal ?? new AbortController().signal;
    const retry = { until, firstPauseMs, signal };
    const { maxImages, maxMessageBytes } = await withRetries(() => limitsOf(until, signal), retry);
    const parts = partsOf(images, Math.min(maxBatch, maxImages), Number(maxMessageBytes));
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

    // The version that answers first answers the rest, whatever the name stands for by then: until one has, parts go one by one.
    const answers: Answer[] = [];
    let pinned: string | null = null;
    const work = async (part: Part): Promise<void> => {
      const response = await orAllRefused(send(part, pinned ?? model), part, chosen);
      if (response.modelVersion !== '') pinned ??= `${response.model}@${response.modelVersion}`;
      const beyond = beyondLimits(response, part);
      if (beyond === null) {
        answers.push({ part, response });
        return;
      }
      // Whole images that were too much for one request: they go into another.
      const again = new Set(beyond.indices);
      const errors = response.errors.filter(({ index }) => !again.has(part.indices[index] ?? -1));
      answers.push({ part, response: { ...response, errors }, without: again });
      await work(beyond);
    };
    while (pinned === null && parts.length > 0) await work(parts.shift() as Part);
    await Promise.all(
      Array.from({ length: Math.min(maxConcurrent, parts.length) }, async () => {
        for (let part = parts.shift(); part !== undefined; part = parts.shift()) await work(part);
      }),
    );
    return gathered(answers, imageCount(images), model, chosen.partial === true);
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
          if (!isGone || model === thrown.resource?.name || start === maxStarts) throw toKindredError(thrown);
        }
      }
    },
    info: () => client.getInfo({}, { deadlineMs }),
    close,
  };
}

/**
 * Where every image of a part is refused the call fails; with `partial` that is an answer like others. The error names as many of them as
 * its size allows.
 */
async function orAllRefused(
  answer: Promise<EmbedResponse>,
  part: Part,
  { partial }: EmbedOptions,
): Promise<EmbedResponse> {
  try {
    return await answer;
  } catch (thrown) {
    if (!isKindredError(thrown, 'INVALID_ARGUMENT')) throw thrown;
    const named = new Map<number, string>();
    for (const { field, description } of thrown.violations) {
      const index = /^encoded\.images\[(\d+)\]$/.exec(field)?.[1];
      if (index !== undefined) named.set(Number(index), description);
    }
    // Without a word on an image it is the request that is wrong.
    if (named.size === 0) throw thrown;
    const errors = part.indices.map((_, index) => {
      const message = named.get(index) ?? 'cannot be used either; the answer had no room to say why';
      return { index, code: thrown.code, message };
    });
    if (partial !== true)
      throw refusal(errors.map(({ index, ...error }) => ({ ...error, index: part.indices[index] ?? index })));
    const nothing = { vectors: new Uint8Array(0), count: errors.length, dimension: 0, model: '', modelVersion: '' };
    return { ...nothing, errors, timing: undefined };
  }
}

function gathered(answers: readonly Answer[], count: number, model: string, partial: boolean): Embedded {
  const vectors: (Float32Array | null)[] = Array.from({ length: count }, () => null);
  const refused: RefusedImage[] = [];
  for (const { part, response, without } of answers) {
    const broken = new Set(response.errors.map(({ index }) => part.indices[index]));
    for (const { index, code, message } of response.errors)
      refused.push({ index: part.indices[index] ?? index, code, message });
    rowsOf(response).forEach((row, i) => {
      const index = part.indices[i] ?? i;
      if (!broken.has(index) && without?.has(index) !== true) vectors[index] = row;
    });
  }
  refused.sort((a, b) => a.index - b.index);
  if (refused.length > 0 && !partial) throw refusal(refused);
  const named = answers.find(({ response }) => response.modelVersion !== '')?.response;
  return {
    ...{ vectors, refused },
    dimension: named?.dimension ?? 0,
    model: named?.model ?? model,
    version: named?.modelVersion ?? '',
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
