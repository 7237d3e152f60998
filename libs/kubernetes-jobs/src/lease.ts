// Who of several processes works: a Lease (coordination.k8s.io/v1), held by one at a time, renewed while it is held, given back at the end.
import { isKindredError, type KindredError } from '@kindred/errors';

/** A Lease as it was read: its fields, and what tells a later version from it. */
export interface LeaseState {
  readonly resourceVersion: string;
  /** Empty: nobody. */
  readonly holder: string;
  /** How long others wait without hearing of the holder, in milliseconds. */
  readonly durationMs: number;
  /** How often it went from one holder to another. */
  readonly transitions: number;
  /** When it came to its holder. */
  readonly acquireTime: Date;
}

/** What is written into one. */
export type LeaseChange = Omit<LeaseState, 'resourceVersion'>;

/** The calls that holding one takes. */
export interface LeaseCalls {
  /** Null: there is none. */
  read(name: string): Promise<LeaseState | null>;
  /** @throws KindredError ALREADY_EXISTS */
  create(name: string, lease: LeaseChange): Promise<LeaseState>;
  /** Replaces exactly the version that was read. @throws KindredError ALREADY_EXISTS when it is another by now, NOT_FOUND */
  replace(name: string, read: LeaseState, lease: LeaseChange): Promise<LeaseState>;
}

/** How to hold one. */
export interface LeaseOptions {
  readonly calls: LeaseCalls;
  readonly name: string;
  /** Who asks: the same for a process that comes in the place of one that has surely ended, else unique. */
  readonly identity: string;
  /** How long others wait without hearing of this holder, in milliseconds; whole seconds are written, rounded up. */
  readonly durationMs: number;
  /** Another process has taken it: whoever held it stops at once. */
  onLost(): void;
  /** The API does not answer, or refuses: it is tried again. Null: all is well again. */
  onTrouble(error: KindredError | null): void;
}

/** A Lease that is waited for or held. */
export interface Lease {
  /** Resolves once it is held for the first time; never after `close`. */
  readonly acquired: Promise<void>;
  /** Whether it is certain that nobody else holds it now. */
  readonly isHeld: boolean;
  /** Who held it when it was last read; empty: nobody, or it was never read. */
  readonly holder: string;
  /** Stops renewing, and gives it back. */
  close(): Promise<void>;
}

/** A holder stops to count on it this much earlier than others may take it: clocks run at different rates. */
const certainPart = 5 / 6;
/** Renewals in the time after which it would be lost. */
const renewals = 12;

/**
 * Waits for a Lease and holds it. Others' clocks are not compared with this one's: a holder is gone when its Lease has not changed
 * for as long as it says, by the clock of whoever looks (as client-go's leader election has it).
 */
export function holdLease(options: LeaseOptions): Lease {
  const { calls, name, identity, durationMs, onLost, onTrouble } = options;
  const closing = new AbortController();
  let known: LeaseState | null = null;
  let seen: { readonly version: string; readonly at: number } | null = null;
  let waitsFor = '';
  let renewedAt: Clock | null = null;
  let [hasHeld, lost] = [false, false];
  let begin: () => void = () => {};
  const acquired = new Promise<void>((resolve) => (begin = resolve));
  const mine = { holder: identity, durationMs };

  const look = async (): Promise<void> => {
    const asked = now();
    known ??= await calls.read(name);
    if (known === null) {
      known = await calls.create(name, { ...mine, transitions: 0, acquireTime: new Date() });
      return held(asked);
    }
    if (seen?.version !== known.resourceVersion) seen = { version: known.resourceVersion, at: now().steady };
    const { holder, transitions, acquireTime } = known;
    if (holder === identity) {
      known = await calls.replace(name, known, { ...mine, transitions, acquireTime });
      return held(asked);
    }
    if (hasHeld) {
      lost = true;
      return onLost();
    }
    if (holder === '' || asked.steady - seen.at >= Math.max(known.durationMs, durationMs)) {
      known = await calls.replace(name, known, { ...mine, transitions: transitions + 1, acquireTime: new Date() });
      return held(asked);
    }
    // Read anew next time.
    waitsFor = holder;
    known = null;
  };

  const held = (asked: Clock): void => {
    renewedAt = asked;
    hasHeld = true;
    if (!closing.signal.aborted) begin();
  };

  const run = async (): Promise<void> => {
    while (!closing.signal.aborted && !lost) {
      try {
        await look();
        onTrouble(null);
      } catch (thrown) {
        known = null;
        // Somebody was faster, or has deleted it: the next look tells.
        const isRace = isKindredError(thrown, 'ALREADY_EXISTS') || isKindredError(thrown, 'NOT_FOUND');
        if (!isRace) onTrouble(thrown as KindredError);
      }
      await pause(durationMs / renewals, closing.signal);
    }
  };
  const running = run();

  return {
    acquired,
    get isHeld() {
      return !lost && !closing.signal.aborted && renewedAt !== null && since(renewedAt) < durationMs * certainPart;
    },
    get holder() {
      return known?.holder ?? waitsFor;
    },
    async close() {
      closing.abort();
      await running;
      if (!hasHeld || lost) return;
      try {
        const last = await calls.read(name);
        if (last?.holder !== identity) return;
        await calls.replace(name, last, { ...last, holder: '' });
      } catch {
        // It runs out by itself.
      }
    },
  };
}

/** Ends early when `signal` is aborted. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end);
  });
}

/** The clock that never goes back, and the one that also goes on while a machine sleeps. */
interface Clock {
  readonly steady: number;
  readonly wall: number;
}

function now(): Clock {
  return { steady: performance.now(), wall: Date.now() };
}

/** Milliseconds since then, at least what either clock says. */
function since({ steady, wall }: Clock): number {
  return Math.max(performance.now() - steady, Date.now() - wall);
}
