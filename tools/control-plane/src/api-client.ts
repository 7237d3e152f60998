// Kubernetes' API by path, as plain JSON over HTTPS: what tests judge by, apart from the client library that is under test.
import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { Agent, request as send } from 'node:https';
import { createInterface } from 'node:readline';

/** Any object of the API, as far as it is read here. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type ApiObject = any;

/** A reply that says no. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** A change that a watch tells of. */
export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: ApiObject;
}

/** The API of one server, as one user. */
export interface ApiClient {
  get(path: string): Promise<ApiObject>;
  /** What a path says that is no JSON, e.g. a pod's log. */
  text(path: string): Promise<string>;
  create(path: string, body: unknown): Promise<ApiObject>;
  /** A strategic merge patch. */
  patch(path: string, body: unknown): Promise<ApiObject>;
  delete(path: string, options?: unknown): Promise<void>;
  /** Changes of a list from `resourceVersion` on; ends when the server ends it or `signal` is aborted. */
  watch(path: string, resourceVersion: string, signal: AbortSignal): AsyncGenerator<WatchEvent, void, undefined>;
  close(): void;
}

/** Who asks whom. */
export interface ApiClientOptions {
  readonly url: string;
  readonly caFile: string;
  readonly token: string;
}

/** Makes a client. */
export function createApiClient({ url, caFile, token }: ApiClientOptions): ApiClient {
  const agent = new Agent({ ca: readFileSync(caFile), keepAlive: true });
  const open = (method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const type = method === 'PATCH' ? 'application/strategic-merge-patch+json' : 'application/json';
      const text = body === undefined ? '' : JSON.stringify(body);
      // Said outright: Node frames the body of a DELETE in no way by itself.
      const length = { 'content-length': Buffer.byteLength(text) };
      const headers = { authorization: `Bearer ${token}`, 'content-type': type, ...(text !== '' && length) };
      const request = send(new URL(path, url), { method, agent, headers, signal }, resolve);
      request.once('error', reject);
      request.end(text === '' ? undefined : text);
    });
  const text = async (method: string, path: string, body?: unknown): Promise<string> => {
    const reply = await open(method, path, body);
    let said = '';
    for await (const part of reply.setEncoding('utf8')) said += part as string;
    if ((reply.statusCode ?? 0) < 300) return said;
    throw new ApiError(reply.statusCode ?? 0, `${method} ${path}: ${reply.statusCode} ${said}`);
  };
  const json = async (method: string, path: string, body?: unknown): Promise<ApiObject> =>
    JSON.parse(await text(method, path, body)) as ApiObject;

  return {
    get: (path) => json('GET', path),
    text: (path) => text('GET', path),
    create: (path, body) => json('POST', path, body),
    patch: (path, body) => json('PATCH', path, body),
    async delete(path, options) {
      try {
        await text('DELETE', path, options);
      } catch (thrown) {
        if (!(thrown instanceof ApiError) || thrown.status !== 404) throw thrown;
      }
    },
    async *watch(path, resourceVersion, signal) {
      const query = `${path.includes('?') ? '&' : '?'}watch=true&allowWatchBookmarks=true&resourceVersion=${resourceVersion}`;
      const reply = await open('GET', path + query, undefined, signal);
      if (reply.statusCode !== 200) {
        reply.destroy();
        throw new ApiError(reply.statusCode ?? 0, `watch ${path}: ${reply.statusCode}`);
      }
      for await (const line of createInterface(reply)) yield JSON.parse(line) as WatchEvent;
    },
    close: () => agent.destroy(),
  };
}
