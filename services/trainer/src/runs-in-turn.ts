// The runs of a trainer from when its turn begins: until then every call is refused, since another trainer may change them.
import { KindredError } from '@kindred/errors';
import type { Runs } from './runs.js';
import type { Turn } from './turn.js';

/** Runs that are there from some time on. */
export interface RunsInTurn {
  /** Resolves once they are; rejects where they cannot be opened. */
  readonly ready: Promise<void>;
  /** To look at. @throws KindredError UNAVAILABLE: not yet */
  seen(): Runs;
  /** To change. @throws KindredError UNAVAILABLE: not yet, or it is not certain that nobody else does */
  changed(): Runs;
  /** Ends the work on them, then the turn. */
  close(): Promise<void>;
}

/** Opens the runs when the turn begins. */
export function openInTurn(turn: Turn, open: () => Promise<Runs>): RunsInTurn {
  let opened: Runs | null = null;
  const seen = (): Runs => {
    if (opened !== null) return opened;
    turn.check();
    throw new KindredError('UNAVAILABLE', 'the runs are being read; call again', { retryAfterMs: 1_000 });
  };
  const opening = turn.begun.then(open).then((runs) => void (opened = runs));
  // Met by whoever waits for it, which may be later than it is there.
  opening.catch(() => {});
  let hasBegun = false;
  void turn.begun.then(() => (hasBegun = true));
  return {
    ready: opening,
    seen,
    changed() {
      turn.check();
      return seen();
    },
    async close() {
      // Runs that are being opened would be worked on after the turn was given away.
      if (hasBegun) await opening.catch(() => {});
      await opened?.close();
      await turn.close();
    },
  };
}
