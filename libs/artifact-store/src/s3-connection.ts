// Calls of an S3 server: the minio client signs them; time-outs, repeats and the words of errors are ours.
import { AsyncLocalStorage } from 'node:async_hooks';
import http from 'node:http';
import https from 'node:https';
import { buffer } from 'node:stream/consumers';
import { isKindredError, type KindredError } from '@kindred/errors';
import { Client } from 'minio';
import pRetry from 'p-retry';
import { s3Agent } from './s3-agent.js';
import type { S3Credentials, SessionKeys } from './s3-credentials.js';
import { s3Fault } from './s3-faults.js';
import type { S3Location } from './store-location.js';

/** One call about an object, or about the bucket where `key` is absent. */
export interface S3Call {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  /** The object's whole key in the bucket. */
  readonly key?: string;
  /** The query, encoded and sorted by name. */
  readonly query?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | string;
  /** Statuses that the caller deals with; all others are errors. */
  readonly expected: readonly number[];
  /** The error that a reply of an expected status holds; where a repeat may help, the call is repeated for it. */
  readonly faultIn?: (reply: S3Reply) => Error | null;
}

/** A reply read whole. */
export interface S3Reply {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

/** A server's bucket. */
export interface S3Connection {
  /** Bucket and endpoint, for people. */
  readonly place: string;
  readonly location: S3Location;
  /** Makes a call and reads its reply whole; repeated while the server is away, for as long as the patience lasts. */
  call(call: S3Call): Promise<S3Reply>;
  /** As {@link call}, but gives the reply's body as it comes. A body that stops coming is destroyed with an error. */
  open(call: S3Call): Promise<http.IncomingMessage>;
  /** Lists a page of objects: by key, after `startAfter`, at most 1000. */
  list(prefix: string, startAfter: string, limit: number): Promise<S3Page>;
  /** Waits before a repeat that the caller does itself, and makes its error known. @throws `error` when a repeat makes no sense or patience is over. */
  pause(error: unknown, sinceMs: number, attempt: number): Promise<void>;
  /** The error for what was thrown, or was said in a reply of the status. */
  fault(thrown: unknown, status: number | null): KindredError;
}

/** A page of a list. */
export interface S3Page {
  readonly objects: readonly {
    readonly name: string;
    readonly size: number;
    readonly etag: string;
    readonly lastModified: Date;
  }[];
  readonly isTruncated: boolean;
}

/** How patient a store is. */
export interface S3Patience {
  /** How long calls are repeated while the server does not answer, in milliseconds. */
  readonly patienceMs: number;
  /** Told when the server has not answered for a while, and when it does again. */
  readonly onNotice: (message: string) => void;
}

/** A call that takes longer than this altogether, but for a streamed body, is given up and repeated. */
const longestCallMs = 600_000;
const firstPauseMs = 200;
const longestPauseMs = 5_000;
/** Being away for less than this is not worth a word. */
const noticeAfterMs = 2_000;
/**
 * Statuses at which the client throws the server's words away and keeps the socket (minio 8.0.7, internal/request.ts);
 * it sees this one instead.
 */
const swallowed: readonly number[] = [408, 429, 499, 500, 502, 503, 504, 520];
const notSwallowed = 599;

/** What is noted of one attempt, from within the client. */
interface Attempt {
  readonly signal: AbortSignal;
  status: number | null;
  serverCode: string | null;
  serverDate: string | null;
}

/** The client, with keys that may change from call to call. */
class SigningClient extends Client {
  signWith({ accessKey, secretKey, sessionToken }: SessionKeys): void {
    Object.assign(this, { accessKey, secretKey, sessionToken, anonymous: false });
  }
}

/** Connects to the bucket; nothing is sent yet. @throws KindredError INVALID_ARGUMENT when the CA file cannot be read. */
export function connectS3(location: S3Location, credentials: S3Credentials, patience: S3Patience): S3Connection {
  const { bucket, endpoint, region, pathStyle, idleMs } = location;
  const place = `bucket '${bucket}' at ${endpoint.origin}`;
  const attempts = new AsyncLocalStorage<Attempt>();
  const client = new SigningClient({
    endPoint: endpoint.hostname.replace(/^\[|\]$/g, ''),
    port: endpoint.port === '' ? undefined : Number(endpoint.port),
    useSSL: endpoint.protocol === 'https:',
    region,
    pathStyle,
    transport: watchedTransport(endpoint.protocol === 'https:', idleMs, attempts),
    transportAgent: s3Agent(location),
    retryOptions: { disableRetry: true },
  });
  // Bodies carry a CRC-32 that the server checks, so that they need no second SHA-256 for the signature.
  client.enableSHA256 = false;
  const fault = (thrown: unknown, attempt: Omit<Attempt, 'signal'>): KindredError =>
    s3Fault(place, bucket, thrown, attempt);
  const watch = createWatch(patience);

  const once = async <T>(work: () => Promise<T>): Promise<T> => {
    const ending = new AbortController();
    const attempt: Attempt = { signal: ending.signal, status: null, serverCode: null, serverDate: null };
    try {
      client.signWith(await credentials.current());
      const result = await attempts.run(attempt, () => inTime(work(), ending));
      watch.answered();
      return result;
    } catch (thrown) {
      throw fault(thrown, attempt);
    }
  };
  const patient = <T>(work: () => Promise<T>): Promise<T> => {
    let renewed = false;
    return pRetry(
      () =>
        once(work).catch(async (thrown: unknown) => {
          // A session's end is not seen beforehand where clocks differ, or when it is revoked.
          if (renewed || !isKindredError(thrown, 'PERMISSION_DENIED') || !credentials.renew()) throw thrown;
          renewed = true;
          return once(work);
        }),
      {
        retries: Number.POSITIVE_INFINITY,
        maxRetryTime: patience.patienceMs,
        minTimeout: firstPauseMs,
        maxTimeout: longestPauseMs,
        factor: 2,
        randomize: true,
        shouldRetry: ({ error }) => mayRepeat(error),
        onFailedAttempt: ({ error }) => watch.failed(error),
      },
    );
  };
  const send = ({ method, key, query, headers, body = '', expected }: S3Call): Promise<http.IncomingMessage> => {
    const length = { 'content-length': String(body.length) };
    const options = { method, bucketName: bucket, objectName: key, query, headers: { ...length, ...headers } };
    return client.makeRequestStreamAsync(options, body, '', [...expected], region);
  };

  return {
    place,
    location,
    call: (call) =>
      patient(async () => {
        const response = await send(call);
        const status = response.statusCode ?? 0;
        const reply = { status, headers: response.headers, body: await buffer(response) };
        const inside = call.faultIn?.(reply) ?? null;
        if (inside === null) return reply;
        const error = fault(inside, { status, serverCode: null, serverDate: null });
        if (mayRepeat(error)) throw error;
        return reply;
      }),
    open: (call) => patient(() => send(call)),
    list: (prefix, startAfter, limit) =>
      patient(async () => {
        const { objects, isTruncated } = await client.listObjectsV2Query(bucket, prefix, '', '', limit, startAfter);
        return { objects: objects.flatMap(listed), isTruncated };
      }),
    async pause(thrown, sinceMs, attempt) {
      const error = fault(thrown, { status: null, serverCode: null, serverDate: null });
      if (!mayRepeat(error) || Date.now() - sinceMs > patience.patienceMs) throw error;
      watch.failed(error);
      const longest = Math.min(longestPauseMs, firstPauseMs * 2 ** attempt);
      await new Promise((resolve) => setTimeout(resolve, longest * (0.5 + Math.random() / 2)));
    },
    fault: (thrown, status) => fault(thrown, { status, serverCode: null, serverDate: null }),
  };
}

function listed(item: { name?: string; size?: number; etag?: string; lastModified?: Date }): S3Page['objects'] {
  const { name, size = 0, etag = '', lastModified = new Date(0) } = item;
  return name === undefined ? [] : [{ name, size, etag, lastModified }];
}

function mayRepeat(error: unknown): boolean {
  return isKindredError(error) && error.retryAfterMs !== null;
}

/** Gives a call up when it takes too long. The timer goes with the call: one that ran on would keep the reply in memory. */
async function inTime<T>(work: Promise<T>, ending: AbortController): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(timedOut(longestCallMs));
      ending.abort();
    }, longestCallMs);
  });
  try {
    return await Promise.race([work, expired]);
  } finally {
    clearTimeout(timer);
  }
}

function timedOut(ms: number): Error {
  return Object.assign(new Error(`no progress for ${ms / 1000} s`), { code: 'ETIMEDOUT' });
}

/** Node's transport, with a time-out for silence and an end for every call, and a note of how each attempt was answered. */
function watchedTransport(
  secure: boolean,
  idleMs: number,
  attempts: AsyncLocalStorage<Attempt>,
): Pick<typeof http, 'request'> {
  const { request } = secure ? https : http;
  const watched = (options: http.RequestOptions, answer: (response: http.IncomingMessage) => void) => {
    const attempt = attempts.getStore();
    const sent = request({ ...options, signal: attempt?.signal }, (response) => {
      if (attempt !== undefined) {
        const code = response.headers['x-minio-error-code'];
        attempt.status = response.statusCode ?? null;
        attempt.serverCode = typeof code === 'string' ? code : null;
        attempt.serverDate = response.headers.date ?? null;
      }
      if (swallowed.includes(response.statusCode ?? 0)) response.statusCode = notSwallowed;
      answer(response);
    });
    sent.setTimeout(idleMs, () => sent.destroy(timedOut(idleMs)));
    return sent;
  };
  return { request: watched as typeof http.request };
}

/** Says once when a server has been away for a while, and once when it is back. */
function createWatch({ patienceMs, onNotice }: S3Patience) {
  let awaySince: number | null = null;
  let told = false;
  return {
    failed(error: unknown): void {
      if (!mayRepeat(error)) return;
      awaySince ??= Date.now();
      if (told || Date.now() - awaySince < noticeAfterMs) return;
      told = true;
      onNotice(
        `waiting for the artifact store, ${Math.round(patienceMs / 1000)} s at most: ${(error as Error).message}`,
      );
    },
    answered(): void {
      if (told)
        onNotice(`the artifact store answers again after ${Math.round((Date.now() - (awaySince ?? 0)) / 1000)} s`);
      awaySince = null;
      told = false;
    },
  };
}
