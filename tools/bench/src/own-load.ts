// Load on a gRPC service by our own client, in a process of its own: less of the machine than `ghz` takes for the same calls.
import { once } from 'node:events';
import { KindredError } from '@kindred/errors';
import { forkProcess } from '@kindred/workers';
import type { CallLoadOptions, CallLoadResult } from './call-load.js';
import { callLoadEntry } from './entries.js';
import type { LoadResult } from './grpc-load.js';

/** Sends load as `options` say. @throws KindredError UNAVAILABLE where the client ends without a result; its words are above. */
export async function ownLoad(options: CallLoadOptions): Promise<LoadResult> {
  const child = forkProcess(callLoadEntry, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const exited = once(child, 'exit');
  const failed = exited.then(([code, signal]) => {
    throw new KindredError('UNAVAILABLE', `the load client ended (${signal ?? `exit code ${code}`})`);
  });
  failed.catch(() => {});
  const answered = once(child, 'message');
  child.send(options);
  const [result] = (await Promise.race([answered, failed])) as [CallLoadResult];
  await exited;
  return {
    answered: result.answeredMs.length / result.seconds,
    answeredMs: [...result.answeredMs],
    refusedMs: [...result.refusedMs],
    loadCores: result.cpuSeconds / result.seconds,
    otherStatuses: result.otherEnds,
  };
}
