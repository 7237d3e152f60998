// Suites `embedding-throughput` and `embedding-load`: how much of the network's speed does the service give to its callers, how soon, and what under too many?
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EmbedRequest } from '@kindred/protocol/embedding';
import { startOwn } from '../own-process.js';
import { rateOf } from '../contestant.js';
import { startOurs, startPython, modelName, type EmbeddingSide, type SideOptions } from '../embedding-sides.js';
import { frozenForwardEntry } from '../entries.js';
import { load, quantile, type LoadOptions, type LoadResult } from '../grpc-load.js';
import { ownLoad } from '../own-load.js';
import { compare, type Row } from '../report.js';
import { alternate, machineWatch, type Round } from '../rounds.js';
import type { Suite, SuiteContext, SuiteResult } from './suite.js';
import { jpegImage } from '../jpeg-image.js';

const loadSuite = 'embedding-load';
const maxBatch = 32;
const maxDelayMs = 2;
/** Calls at one time that saturate either side: three batches. */
const concurrency = 3 * maxBatch;
const roundSeconds = 10;
const overloadSeconds = 60;
/** Images of a call in the second overload. */
const imagesPerCall = 8;
const embedPath = '/kindred.embedding.v1.EmbeddingService/Embed';
/** Batches of a round of the bare network. */
const forwardSteps = 60;
const peerIs = 'grpcio (asyncio) and PyTorch, frozen, channels last, the same batching';

/** One image a call, as applications send them. */
export const embeddingThroughputSuite: Suite = {
  name: 'embedding-throughput',
  description: 'the embedding service, saturated, against the same in Python and against its bare network',
  async run(context) {
    await mkdir(context.folder, { recursive: true });
    const raw = await throughput(context, 'cifar', rawRequest(32, 1));
    const jpeg = await throughput(context, 'stl', await jpegRequest(224));
    return { rows: [...raw.rows, ...jpeg.rows], versions: { ...raw.versions, ...jpeg.versions } };
  },
};

/** The service alone: no peer, since what is held against it is itself. */
export const embeddingLoadSuite: Suite = {
  name: loadSuite,
  description: 'latency of the embedding service at half of its load, and what it does at three times of it',
  async run(context) {
    await mkdir(context.folder, { recursive: true });
    const { ours, send, close } = await underLoad(context, 'cifar', rawRequest(32, 1));
    try {
      const seconds = overloadSeconds;
      const rows = [
        await latency(context, ours, send),
        ...(await overload(context, ours, { id: 'embed-overload', images: 1, seconds })),
        ...(await overload(context, ours, { id: 'embed-overload-eight', images: imagesPerCall, seconds })),
      ];
      return { rows, versions: {} };
    } finally {
      await close();
    }
  },
};

type Send = (side: EmbeddingSide, more?: Partial<LoadOptions>) => Promise<LoadResult>;

interface UnderLoad {
  readonly ours: EmbeddingSide;
  readonly options: Omit<SideOptions, 'folder'>;
  readonly send: Send;
  close(): Promise<void>;
}

/** Our service, started, with the way to send `request` to it or to another side. */
async function underLoad(context: SuiteContext, form: SideOptions['form'], request: Uint8Array): Promise<UnderLoad> {
  const { threads, folder, peers } = context;
  const requestFile = join(folder, `${form}.bin`);
  await writeFile(requestFile, request);
  const root = join(peers, '..', '..', '..');
  const options = { form, threads, maxBatch, maxDelayMs };
  const ours = await startOurs(join(root, 'dist', 'services'), { ...options, folder: join(folder, `ours-${form}`) });
  const constant = { protos: join(root, 'proto'), request: requestFile, report: join(folder, 'report.json') };
  return {
    ours,
    options,
    send: ({ address }, more = {}) =>
      load({ ...constant, address, seconds: roundSeconds, concurrency, rate: null, ...more }),
    close: () => ours.close(),
  };
}

async function throughput(context: SuiteContext, form: SideOptions['form'], request: Uint8Array): Promise<SuiteResult> {
  const { rounds, threads, folder, say } = context;
  const { ours, options, send, close } = await underLoad(context, form, request);
  const open: { close(): Promise<void> }[] = [{ close }];
  try {
    const peer = await startPython(context, { ...options, folder: join(folder, `peer-${form}`) });
    open.push(peer);
    const sides: Record<string, () => Promise<number>> = {
      ours: async () => (await send(ours)).answered,
      peer: async () => (await send(peer)).answered,
    };
    if (form === 'cifar') {
      const forward = await startOwn(frozenForwardEntry, { batch: maxBatch, threads });
      open.push(forward);
      sides['forward'] = async () => rateOf(await forward.round(forwardSteps));
    }
    // Once each, not counted: connections, caches.
    for (const side of [ours, peer]) await send(side, { seconds: 2 });
    const onRound = (side: string, round: number, { figure }: Round): void =>
      say(`embed, ${form}: round ${round + 1} of ${rounds}, ${side} ${figure.toFixed(1)} images/s`);
    const rates = await alternate(sides, { rounds, onRound });
    const row = { suite: 'embedding-throughput', unit: 'images/s' };
    const id = form === 'cifar' ? 'embed-raw' : 'embed-jpeg';
    const rows = [compare({ ...row, id, against: peerIs }, rates, 'ours', 'peer')];
    if (form === 'cifar') {
      const against = 'the compiled network in a loop';
      rows.push(compare({ ...row, id: 'embed-over-forward', against }, rates, 'ours', 'forward'));
    }
    return { rows, versions: peer.versions };
  } finally {
    for (const side of open) await side.close();
  }
}

/** Latency at half of the saturated load, one image a call. */
async function latency({ say, rounds }: SuiteContext, ours: EmbeddingSide, send: Send): Promise<Row> {
  await send(ours, { seconds: 2 });
  const late: Round[] = [];
  const usual: Round[] = [];
  for (let round = 0; round < rounds; round++) {
    await machineWatch.quiet();
    const full = (await send(ours)).answered;
    const end = machineWatch.begin();
    const half = await send(ours, { rate: full / 2 });
    const others = end();
    const [p50, p99] = [quantile(half.answeredMs, 0.5), quantile(half.answeredMs, 0.99)];
    say(
      `embed-p99: p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms at ${half.answered.toFixed(0)} images/s; ${atWork(others)}`,
    );
    late.push({ figure: p99, othersCores: others });
    usual.push({ figure: p50, othersCores: others });
  }
  const row = { suite: loadSuite, id: 'embed-p99', unit: 'ms', against: 'its p50, at half of the saturated load' };
  return compare(row, { ours: late, peer: usual }, 'ours', 'peer');
}

interface Overload {
  readonly id: string;
  /** Images a call: the more they are, the less the load costs by the image. */
  readonly images: number;
  readonly seconds: number;
}

/** What one round of an overload gave. */
interface OverloadRound {
  readonly over: LoadResult;
  readonly before: LoadResult;
  readonly after: LoadResult;
  readonly refusedMs: number;
  /** Of the service, after a third of the overload and at its end. */
  readonly memoryMiB: readonly [early: number, late: number];
  readonly others: number | null;
}

type Figure = (round: OverloadRound) => number;

/**
 * What happens at three times of the saturated load, which is measured before and after in each round, since a machine's speed drifts. All three
 * are sent by our own client, which takes less of the same cores than ghz; what the service does with the rest is a row of its own.
 */
async function overload(context: SuiteContext, ours: EmbeddingSide, work: Overload): Promise<Row[]> {
  const { rounds, threads, say } = context;
  const { id, images } = work;
  const all: OverloadRound[] = [];
  for (let round = 0; round < rounds; round++) {
    const one = await overloadRound(ours, work);
    const { over, before, after, refusedMs, memoryMiB, others } = one;
    const [early, late] = memoryMiB;
    say(
      `${id}: round ${round + 1} of ${rounds}, ${(over.answered * images).toFixed(0)} images/s answered, saturated ` +
        `${(before.answered * images).toFixed(0)} before and ${(after.answered * images).toFixed(0)} after, ${over.refusedMs.length} calls refused ` +
        `(p99 ${refusedMs.toFixed(1)} ms, longest ${(over.refusedMs.at(-1) ?? Number.NaN).toFixed(1)} ms), others ${JSON.stringify(over.otherStatuses)}, memory ${early.toFixed(0)} to ${late.toFixed(0)} MiB; ` +
        `the load took ${over.loadCores.toFixed(2)} cores, saturating ${loadWhenSaturated(one).toFixed(2)}; ${atWork(others)}`,
    );
    all.push(one);
  }
  const figures = (figure: Figure): Round[] =>
    all.map((round) => ({ figure: figure(round), othersCores: round.others }));
  const row = (rowId: string, unit: string, against: string, own: Figure, other: Figure): Row => {
    const rates = { ours: figures(own), peer: figures(other) };
    return compare({ suite: loadSuite, id: rowId, unit, against }, rates, 'ours', 'peer');
  };
  const refusal = { suite: loadSuite, id: `${id}-refusal`, unit: 'ms', against: 'none: p99 of the refused calls' };
  const answered = ({ over }: OverloadRound): number => over.answered * images;
  const saturated = ({ before, after }: OverloadRound): number => ((before.answered + after.answered) / 2) * images;
  const left = 'the same, each by the core that the load left';
  return [
    row(id, 'images/s', `saturated before and after, ${images} images a call`, answered, saturated),
    row(
      `${id}-left`,
      'images/s',
      left,
      (round) => answered(round) / (threads - round.over.loadCores),
      (round) => saturated(round) / (threads - loadWhenSaturated(round)),
    ),
    compare(refusal, { ours: figures(({ refusedMs }) => refusedMs) }, 'ours', null),
    row(
      `${id}-memory`,
      'MiB',
      'after a third of the overload',
      ({ memoryMiB: [, late] }) => late,
      ({ memoryMiB: [early] }) => early,
    ),
  ];
}

async function overloadRound(ours: EmbeddingSide, { images, seconds }: Overload): Promise<OverloadRound> {
  const call = {
    address: ours.address,
    path: embedPath,
    message: rawRequest(32, images),
    concurrency: Math.ceil(concurrency / images),
  };
  const saturate = (): Promise<LoadResult> => ownLoad({ ...call, seconds: roundSeconds, rate: null });
  await machineWatch.quiet();
  const end = machineWatch.begin();
  const before = await saturate();
  let [early, late] = [Number.NaN, Number.NaN];
  const watch = [
    setTimeout(() => void ours.residentMiB().then((mib) => (early = mib)), (seconds / 3) * 1000),
    setTimeout(() => void ours.residentMiB().then((mib) => (late = mib)), (seconds - 2) * 1000),
  ];
  const over = await ownLoad({ ...call, rate: 3 * before.answered, seconds });
  for (const timer of watch) clearTimeout(timer);
  const after = await saturate();
  const refusedMs = quantile(over.refusedMs, 0.99);
  return { over, before, after, refusedMs, memoryMiB: [early, late], others: end() };
}

const loadWhenSaturated = ({ before, after }: OverloadRound): number => (before.loadCores + after.loadCores) / 2;

const atWork = (others: number | null): string =>
  others === null ? 'what others did is not known' : `others took ${others.toFixed(2)} cores`;

function rawRequest(side: number, count: number): Uint8Array {
  const pixels = Uint8Array.from(
    { length: count * side * side * 3 },
    (_, i) => (Math.imul(i, 2654435761) >>> 12) & 255,
  );
  const value = { pixels, count, height: side, width: side };
  return EmbedRequest.encode(EmbedRequest.fromPartial({ model: modelName, images: { $case: 'raw', value } })).finish();
}

async function jpegRequest(side: number): Promise<Uint8Array> {
  const value = { images: [await jpegImage(side)] };
  return EmbedRequest.encode(
    EmbedRequest.fromPartial({ model: modelName, images: { $case: 'encoded', value } }),
  ).finish();
}
