// Downloads one file over HTTP so that a cut connection, or a later call, goes on where it stopped.
import { createWriteStream } from 'node:fs';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { KindredError, toKindredError } from '@kindred/errors';
import type { DatasetProgress } from './open-options.js';
import { throwIfAborted } from './open-options.js';

/** What {@link download} takes. */
export interface DownloadOptions {
  readonly url: string;
  /** Where the bytes gather; `<path>.json` beside it remembers what they are a part of. */
  readonly path: string;
  /** A connection without a byte for so long counts as cut. @default 30000 */
  readonly idleTimeoutMs?: number;
  /** Tries in a row that bring nothing before it gives up. @default 5 */
  readonly attempts?: number;
  /** Pause before the second try, doubled for each further one. @default 500 */
  readonly retryDelayMs?: number;
  readonly onProgress?: (progress: DatasetProgress) => void;
  readonly signal?: AbortSignal;
}

/** What is known of the file that a part belongs to. */
interface PartNote {
  readonly url: string;
  /** ETag, else Last-Modified: the server sends the rest only of the same file (RFC 9110, section 13.1.5). */
  readonly validator: string | null;
}

/**
 * Fetches `url` into `path`, going on from what lies there already where the server allows (Range with If-Range), else from the
 * start. NOT_FOUND for 404 and 410, UNAVAILABLE after tries that brought nothing, CANCELLED by `signal`; what came stays on disk.
 */
export async function download(options: DownloadOptions): Promise<void> {
  const { path, url, attempts = 5, retryDelayMs = 500, signal } = options;
  let fruitless = 0;
  for (;;) {
    const before = await sizeOf(path);
    try {
      await transfer(options, before);
      return;
    } catch (error) {
      throwIfAborted(signal, url);
      if (!isTransient(error)) throw toKindredError(error);
      fruitless = (await sizeOf(path)) > before ? 1 : fruitless + 1;
      if (fruitless >= attempts) {
        const reason = error instanceof Error ? error.message : String(error);
        throw new KindredError(
          'UNAVAILABLE',
          `${url}: ${attempts} tries brought nothing more (${reason}); ${await sizeOf(path)} bytes are kept, a later call goes on from there`,
          { cause: error, resource: { type: 'service', name: url } },
        );
      }
      await sleep(retryDelayMs * 2 ** (fruitless - 1), undefined, { signal }).catch(() => throwIfAborted(signal, url));
    }
  }
}

/** Removes a part and its note. */
export async function discardPart(path: string): Promise<void> {
  await rm(path, { force: true });
  await rm(notePath(path), { force: true });
}

async function transfer(options: DownloadOptions, have: number): Promise<void> {
  const { url, path, idleTimeoutMs = 30_000, onProgress, signal } = options;
  const note = have > 0 ? await readNote(path) : null;
  const start = note?.url === url ? have : 0;
  const idle = new AbortController();
  const timer = setTimeout(() => idle.abort(new Error(`no byte came for ${idleTimeoutMs} ms`)), idleTimeoutMs);
  try {
    const headers: Record<string, string> = { 'accept-encoding': 'identity' };
    if (start > 0) headers['range'] = `bytes=${start}-`;
    if (start > 0 && typeof note?.validator === 'string') headers['if-range'] = note.validator;
    const response = await fetch(url, {
      headers,
      signal: signal === undefined ? idle.signal : AbortSignal.any([signal, idle.signal]),
    });
    const plan = planOf(response, start, url);
    if (plan === 'complete') return void (await response.body?.cancel());
    if (plan === 'restart') {
      await response.body?.cancel();
      await discardPart(path);
      throw new TransientError(`the server has no bytes from ${start} on; starting again`);
    }
    await writeFile(notePath(path), JSON.stringify({ url, validator: validatorOf(response) } satisfies PartNote));
    await append(response, path, plan.from, plan.total, () => timer.refresh(), onProgress);
  } finally {
    clearTimeout(timer);
  }
}

/** What a response means for a request of the bytes from `start` on. */
function planOf(
  response: Response,
  start: number,
  url: string,
): { from: number; total: number | null } | 'complete' | 'restart' {
  const { status, headers } = response;
  const range = /^bytes (?:(\d+)-\d+|\*)\/(\d+|\*)$/.exec(headers.get('content-range') ?? '');
  if (status === 206) return Number(range?.[1]) === start ? { from: start, total: wholeNumber(range?.[2]) } : 'restart';
  if (status === 416) return Number(range?.[2]) === start ? 'complete' : 'restart';
  if (status === 200) return { from: 0, total: wholeNumber(headers.get('content-length')) };
  const text = `${url}: the server answered ${status} ${response.statusText}`;
  if (status >= 500 || status === 408 || status === 429) throw new TransientError(text);
  throw new KindredError(
    status === 404 || status === 410 ? 'NOT_FOUND' : 'FAILED_PRECONDITION',
    `${text}; give another url`,
    {
      resource: { type: 'file', name: url },
    },
  );
}

async function append(
  response: Response,
  path: string,
  from: number,
  total: number | null,
  alive: () => void,
  onProgress: DownloadOptions['onProgress'],
): Promise<void> {
  const file = createWriteStream(path, { flags: from === 0 ? 'w' : 'a' });
  const opened = new Promise<void>((resolve, reject) => file.once('open', () => resolve()).once('error', reject));
  let done = from;
  try {
    await opened;
    for await (const chunk of response.body ?? []) {
      alive();
      await new Promise<void>((resolve, reject) => file.write(chunk, (error) => (error ? reject(error) : resolve())));
      done += (chunk as Uint8Array).length;
      onProgress?.({ phase: 'download', done, total });
    }
  } finally {
    await new Promise<void>((resolve) => file.close(() => resolve()));
  }
  if (total !== null && done !== total) throw new TransientError(`the connection ended at byte ${done} of ${total}`);
}

/** A failure that another try may get past. */
class TransientError extends Error {}

/** Failures of the connection: `fetch` gives them as TypeError, an idle time-out as its abort reason; file errors have an errno path. */
function isTransient(error: unknown): boolean {
  if (error instanceof KindredError) return false;
  return (
    !(error instanceof Error && 'path' in error) &&
    !(error instanceof Error && 'code' in error && error.code === 'ENOSPC')
  );
}

function validatorOf({ headers }: Response): string | null {
  const etag = headers.get('etag');
  // A weak ETag may not be used for ranges (RFC 9110, section 13.1.5).
  return etag !== null && !etag.startsWith('W/') ? etag : headers.get('last-modified');
}

function wholeNumber(text: string | null | undefined): number | null {
  return text !== null && text !== undefined && /^\d+$/.test(text) ? Number(text) : null;
}

function notePath(path: string): string {
  return `${path}.json`;
}

async function readNote(path: string): Promise<PartNote | null> {
  try {
    return JSON.parse(await readFile(notePath(path), 'utf8')) as PartNote;
  } catch {
    return null;
  }
}

async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => null))?.size ?? 0;
}
