// The way to an API server: whose it is, how long a call may take, what its errors mean.
import { KubeConfig } from '@kubernetes/client-node';
import { isKindredError } from '@kindred/errors';
import { apiError } from './api-errors.js';

/** How to reach a namespace. */
export interface ApiOptions {
  readonly namespace: string;
  /** How long a call may take, in milliseconds. @default 15_000 */
  readonly callMs?: number;
  /** A kubeconfig's path. @default that of KUBECONFIG, else the service account of the pod that this is */
  readonly kubeconfig?: string;
}

/** The way to it. */
export interface ApiConnection {
  readonly config: KubeConfig;
  /** Makes a call; `what` says what it tries, for its error. */
  call<T>(what: string, work: () => Promise<T>): Promise<T>;
}

/** Reads whose API it is. */
export function connectApi({ callMs = 15_000, kubeconfig }: ApiOptions): ApiConnection {
  const config = new KubeConfig();
  if (kubeconfig === undefined) config.loadFromDefault();
  else config.loadFromFile(kubeconfig);
  return {
    config,
    async call(what, work) {
      const timer = new AbortController();
      const late = new Promise<never>((_, reject) => {
        const timeout = setTimeout(() => reject(new Error(`no answer in ${callMs} ms`)), callMs);
        timer.signal.addEventListener('abort', () => clearTimeout(timeout));
      });
      try {
        return await Promise.race([work(), late]);
      } catch (thrown) {
        throw apiError(thrown, what);
      } finally {
        timer.abort();
      }
    },
  };
}

/** What `work` gives; null where there is no such thing. */
export async function orNull<T>(work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (thrown) {
    if (isKindredError(thrown, 'NOT_FOUND')) return null;
    throw thrown;
  }
}
