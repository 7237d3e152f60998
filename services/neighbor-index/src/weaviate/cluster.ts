// A cluster's nodes as one: calls go to one node until it does not answer, then to the next.
import { setTimeout } from 'node:timers/promises';
import { KindredError } from '@kindred/errors';
import { createPeerPolicy, type Logger, type PeerPolicy } from '@kindred/service-runtime';
import {
  isSilent,
  openWeaviateNode,
  silentNode,
  type ConsistencyLevel,
  type WeaviateAddress,
  type WeaviateNode,
} from '@kindred/weaviate';

/** Where the cluster is, and how it is asked. */
export interface WeaviateSettings {
  readonly nodes: readonly WeaviateAddress[];
  readonly tls: boolean;
  /** Null: none. */
  readonly apiKey: string | null;
  /** Replicas of a collection whose configuration says 0. */
  readonly replicas: number;
  /** How many replicas have a write when it is acknowledged. */
  readonly consistency: ConsistencyLevel;
  /** Begins the names of classes. */
  readonly prefix: string;
}

/** Replicas that a read asks, so that it meets every acknowledged write. */
export const readLevels: Readonly<Record<ConsistencyLevel, ConsistencyLevel>> = {
  all: 'one',
  quorum: 'quorum',
  one: 'one',
};

/** The cluster. */
export interface WeaviateCluster {
  /** Asks a node for something that may be asked for twice. UNAVAILABLE, with RetryInfo, when no try succeeds. */
  read<T>(work: (node: WeaviateNode) => Promise<T>, signal: AbortSignal): Promise<T>;
  /** As {@link WeaviateCluster.read}, with the patience that the cluster needs to find a node dead. */
  write<T>(work: (node: WeaviateNode) => Promise<T>, signal: AbortSignal): Promise<T>;
  /** Whether any node answered when it was last asked. */
  reachable(): boolean;
  close(): Promise<void>;
}

/** A node's place. */
interface Seat {
  readonly address: WeaviateAddress;
  node: Promise<WeaviateNode> | null;
  /** Calls under way. */
  calls: number;
  /** Calls that have ended. */
  ended: number;
  watched: boolean;
  down: boolean;
  /** Ends all calls under way. */
  gone: { readonly promise: Promise<never>; reject(error: KindredError): void };
}

/** How long nothing may end at a node with calls under way before it is asked whether it lives. */
const watchMs = 400;
/** How often nodes are looked for while none answers. */
const seekMs = 1_000;

/** Makes the cluster; a node is opened when it is first asked. `onReachable` is told when the last node is lost, and when one is back. */
export function createCluster(
  { nodes, tls, apiKey }: WeaviateSettings,
  logger: Logger,
  onReachable: (reachable: boolean) => void,
): WeaviateCluster {
  const seats: Seat[] = nodes.map((address) => ({
    address,
    node: null,
    calls: 0,
    ended: 0,
    watched: false,
    down: false,
    gone: createGone(),
  }));
  const ending = new AbortController();
  let current = 0;
  let seeking = false;
  // Apart, since writes fail while the cluster has not yet found a dead node, and searches go on then. Many callers at once meet that, too: only
  // a cluster that keeps failing is let be.
  const reads = createPeerPolicy({
    service: 'weaviate-reads',
    maxAttempts: 6,
    pauseMs: 50,
    maxPauseMs: 1000,
    breakAfter: 100,
  });
  const writes = createPeerPolicy({
    service: 'weaviate-writes',
    maxAttempts: 40,
    pauseMs: 100,
    maxPauseMs: 1500,
    breakAfter: 1000,
  });
  const reachable = (): boolean => seats.some(({ down }) => !down);
  const setDown = (seat: Seat, down: boolean): void => {
    const before = reachable();
    seat.down = down;
    if (reachable() !== before) onReachable(!before);
  };
  const nameOf = ({ address }: Seat): string => `${address.host}:${address.httpPort}`;
  const open = (seat: Seat): Promise<WeaviateNode> => {
    const opening = (seat.node ??= openWeaviateNode({ ...seat.address, tls, apiKey }));
    opening.catch(() => {
      if (seat.node === opening) seat.node = null;
    });
    return opening;
  };

  /** Its client is closed, so that nothing it still tries to send arrives later, over what was written since. */
  const lose = (seat: Seat, error: KindredError): void => {
    if (!seat.down) logger.warn({ node: nameOf(seat), err: error }, 'a node of Weaviate does not answer');
    setDown(seat, true);
    const { node, gone } = seat;
    seat.node = null;
    seat.gone = createGone();
    gone.reject(error);
    void node?.then((opened) => opened.close()).catch(() => {});
    if (seats[current] === seat) current = next(seats, current);
    if (!reachable()) void seek();
  };
  const answers = (seat: Seat): Promise<boolean> =>
    open(seat).then(
      (node) => node.isLive(),
      () => false,
    );
  /** A call that lasts makes one look whether the node lives: the client keeps trying one that is gone, and says nothing. */
  const watch = async (seat: Seat): Promise<void> => {
    if (seat.watched) return;
    seat.watched = true;
    while (seat.calls > 0 && !ending.signal.aborted) {
      const { gone, ended } = seat;
      await pause(watchMs, ending.signal);
      if (seat.calls === 0 || seat.ended !== ended || seat.gone !== gone || ending.signal.aborted) continue;
      if ((await answers(seat)) || seat.gone !== gone) continue;
      lose(seat, silentNode(nameOf(seat), 'it is gone'));
    }
    seat.watched = false;
  };
  const seek = async (): Promise<void> => {
    if (seeking) return;
    seeking = true;
    while (!ending.signal.aborted && !reachable()) {
      await pause(seekMs, ending.signal);
      for (const [i, seat] of seats.entries()) {
        if (ending.signal.aborted || !(await answers(seat))) continue;
        setDown(seat, false);
        current = i;
        break;
      }
    }
    seeking = false;
  };
  const askSeat = async <T>(seat: Seat, work: (node: WeaviateNode) => Promise<T>, signal: AbortSignal): Promise<T> => {
    const { promise: gone } = seat.gone;
    const cancelled = cancellation(signal);
    seat.calls++;
    void watch(seat);
    const working = open(seat).then(work);
    // Whichever of them comes too late is nobody's.
    working.catch(() => {});
    try {
      const result = await Promise.race([working, gone, cancelled.promise]);
      setDown(seat, false);
      return result;
    } catch (thrown) {
      if (isSilent(thrown) && seat.gone.promise === gone) lose(seat, thrown as KindredError);
      throw thrown;
    } finally {
      cancelled.release();
      seat.calls--;
      seat.ended++;
    }
  };
  /** One node after the other, until one answers: what a single node does counts for no circuit. */
  const ask = async <T>(work: (node: WeaviateNode) => Promise<T>, signal: AbortSignal): Promise<T> => {
    for (let tries = 1; ; tries++) {
      signal.throwIfAborted();
      if (ending.signal.aborted) throw new KindredError('UNAVAILABLE', 'the service is ending');
      try {
        return await askSeat(seats[current]!, work, signal);
      } catch (thrown) {
        if (!isSilent(thrown) || tries >= seats.length) throw thrown;
      }
    }
  };
  const through =
    (policy: PeerPolicy) =>
    <T>(work: (node: WeaviateNode) => Promise<T>, signal: AbortSignal): Promise<T> =>
      policy.call(() => ask(work, signal), { signal });

  return {
    read: through(reads),
    write: through(writes),
    reachable,
    async close() {
      ending.abort();
      await Promise.all(
        seats.map(async ({ node }) => {
          await node?.then((opened) => opened.close()).catch(() => {});
        }),
      );
    },
  };
}

/** The next node that is not known to be down; the next one, where all are. */
function next(seats: readonly Seat[], from: number): number {
  for (let step = 1; step < seats.length; step++) {
    const at = (from + step) % seats.length;
    if (!seats[at]!.down) return at;
  }
  return (from + 1) % seats.length;
}

function createGone(): Seat['gone'] {
  let reject: (error: KindredError) => void = () => {};
  const promise = new Promise<never>((_, refuse) => (reject = refuse));
  promise.catch(() => {});
  return { promise, reject };
}

/** Rejects when the signal fires, until it is released. */
function cancellation(signal: AbortSignal): { readonly promise: Promise<never>; release(): void } {
  let reject: (reason: unknown) => void = () => {};
  const promise = new Promise<never>((_, refuse) => (reject = refuse));
  promise.catch(() => {});
  const stop = (): void => reject(signal.reason);
  signal.addEventListener('abort', stop, { once: true });
  return { promise, release: () => signal.removeEventListener('abort', stop) };
}

/** Ends early when `signal` is aborted; keeps no process alive. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await setTimeout(ms, undefined, { signal, ref: false }).catch(() => {});
}
