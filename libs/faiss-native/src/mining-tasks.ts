// The thread's half of mining: work under way by handle, a few rounds a call, so that searches take turns with it.
import { KindredError } from '@kindred/errors';
import { workerTask } from '@kindred/workers';
import { loadAddon, type NativeMining } from './addons.js';

const underWay = new Map<number, NativeMining>();
let lastHandle = 0;

/** What {@link beginMining} makes room for. */
export interface MiningSize {
  readonly rows: number;
  readonly dimension: number;
  readonly k: number;
}

/** Makes room; returns the work's handle and the rounds that it will take. */
export const beginMining = workerTask(({ rows, dimension, k }: MiningSize): { handle: number; rounds: number } => {
  const mining = new (loadAddon().Mining)(rows, dimension, k);
  underWay.set(++lastHandle, mining);
  return { handle: lastHandle, rounds: mining.rounds() };
});

/** Hands over the next vectors, [n, dimension]. */
export const addToMining = workerTask(({ handle, vectors }: { handle: number; vectors: Float32Array }): void => {
  miningOf(handle).add(vectors);
});

/** Does some rounds. */
export const advanceMining = workerTask(({ handle, rounds }: { handle: number; rounds: number }): void => {
  miningOf(handle).advance(rounds);
});

/** What was found once all rounds are done. INVALID_ARGUMENT when products are no numbers. */
export const miningResult = workerTask(
  (handle: number) => {
    const found = miningOf(handle).result();
    if (found !== null) return found;
    throw new KindredError(
      'INVALID_ARGUMENT',
      'mining: some inner products are no numbers; allowed: products within float32',
    );
  },
  ({ scores, positions }) => [scores.buffer, positions.buffer],
);

/** Frees the work, finished or not. */
export const endMining = workerTask((handle: number): void => {
  underWay.delete(handle);
});

function miningOf(handle: number): NativeMining {
  const mining = underWay.get(handle);
  if (mining === undefined) throw new KindredError('FAILED_PRECONDITION', `mining ${handle} has ended`);
  return mining;
}
