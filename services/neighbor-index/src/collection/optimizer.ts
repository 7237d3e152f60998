// Optimizing: small parts are merged, dead rows dropped, indexes built, all beside writes and searches.
import { buildIndex, type SegmentIndex } from '@kindred/faiss-native';
import { KindredError } from '@kindred/errors';
import { countBits } from './alive-rows.js';
import type { Contents, SealedPart } from './contents.js';
import { install, takeNumber, textBytesOf, type Files } from './checkpoint.js';
import { indexBytes, indexPlan } from './index-plan.js';
import type { HoldMemory } from './maintenance.js';
import { segmentPath, writeFileSynced, type SegmentEntry } from './manifest.js';
import { mergeParts } from './merge.js';
import type { Part } from './part.js';
import { partOf, writeSegment } from './segment-file.js';

/** Parts of about the same size that may stand beside each other. */
const partsPerTier = 4;
/** A tier's parts are at most this many times as large as its smallest may be. */
const tierFactor = 4;
/** Bytes of vectors of one part at most. */
const maxPartBytes = 1024 * 1024 * 1024;
/** Bytes of one part's file at most, so that no column of texts outgrows the 4 GiB of an array. */
const maxFileBytes = 2 * 1024 * 1024 * 1024;
/** Part of a part's rows that may be dead. */
const maxDeadShare = 0.2;
/** Rows from which two indexed parts are worth one. */
const minRows = 1024;

/** Parts to make one of; null: nothing is to be done. */
export function choosePartsToMerge(contents: Contents, files: Files): readonly SealedPart[] | null {
  const { spec } = files.manifest;
  const mostRows = Math.max(minRows, Math.floor(maxPartBytes / (4 * spec.dimension)));
  const aliveIn = ({ part }: SealedPart): number => part.rows - part.alive.dead;
  const sealed = contents.sealed;
  // Rows that have died since the last checkpoint cannot be left out yet: their changes may be in the log only.
  const littered = sealed.find(
    ({ saved, entry: { rows } }) => saved !== null && countBits(saved, rows) < (1 - maxDeadShare) * rows,
  );
  const bare = sealed.filter((one) => one.part.index === null);
  const bareRows = bare.reduce((sum, one) => sum + aliveIn(one), 0);
  if (spec.index.kind !== 'flat' && indexPlan(spec.index, Math.min(bareRows, mostRows)) !== null) {
    // An indexed part no larger than the new rows is built again with them: the number of parts grows as a logarithm.
    const small = sealed.filter((one) => one.part.index !== null && aliveIn(one) <= bareRows);
    const chosen = limited([bare, small], sealed, mostRows, aliveIn);
    // Parts that do not fit together may have too few rows for an index each; made one of again, they would be as before.
    const rows = chosen.reduce((sum, one) => sum + aliveIn(one), 0);
    if (indexPlan(spec.index, rows) !== null) return chosen;
  }
  const tiers = new Map<number, SealedPart[]>();
  for (const one of sealed.filter((part) => spec.index.kind === 'flat' || part.part.index === null)) {
    // Of full parts none can be added to.
    if (aliveIn(one) * 2 > mostRows || one.entry.bytes * 2 > maxFileBytes) continue;
    const tier = Math.floor(Math.log(Math.max(minRows, aliveIn(one))) / Math.log(tierFactor));
    tiers.set(tier, [...(tiers.get(tier) ?? []), one]);
  }
  for (const tier of [...tiers.keys()].sort((a, b) => a - b)) {
    const members = tiers.get(tier)!;
    if (members.length >= partsPerTier) return limited([members], sealed, mostRows, aliveIn);
  }
  return littered === undefined ? null : [littered];
}

/** As many of `groups` as fit one part, in the order of `sealed`: earlier groups and larger parts first; at least one. */
function limited(
  groups: readonly (readonly SealedPart[])[],
  sealed: readonly SealedPart[],
  mostRows: number,
  aliveIn: (one: SealedPart) => number,
): readonly SealedPart[] {
  const fitting = new Set<SealedPart>();
  let rows = 0;
  let bytes = 0;
  for (const one of groups.flatMap((group) => group.toSorted((a, b) => aliveIn(b) - aliveIn(a)))) {
    const fits = rows + aliveIn(one) <= mostRows && bytes + one.entry.bytes <= maxFileBytes;
    if (fitting.size > 0 && !fits) continue;
    fitting.add(one);
    rows += aliveIn(one);
    bytes += one.entry.bytes;
  }
  return sealed.filter((one) => fitting.has(one));
}

/** How optimizing is run. */
export interface OptimizeOptions {
  /** Cores that building an index may use. */
  readonly threads: number;
  readonly signal: AbortSignal;
  /** Runs `work` while no checkpoint is at work. */
  readonly exclusively: (work: () => Promise<void>) => Promise<void>;
  readonly hold: HoldMemory;
}

/** Makes one part of `sources`. When it fails, all is as before. RESOURCE_EXHAUSTED: no memory for it now. */
export async function optimize(
  sources: readonly SealedPart[],
  contents: Contents,
  files: Files,
  options: OptimizeOptions,
): Promise<void> {
  const memory = options.hold(bytesToMerge(sources, files), 'a merge');
  try {
    await mergeInto(sources, contents, files, options);
  } finally {
    memory.release();
  }
}

/** Bytes that the merged part takes beside its sources: columns, payloads twice while they are joined, index and its file. */
function bytesToMerge(sources: readonly SealedPart[], { manifest: { spec } }: Files): number {
  const rows = sources.reduce((sum, { part }) => sum + part.rows - part.alive.dead, 0);
  const texts = sources.reduce((sum, { part }) => sum + textBytesOf(part), 0);
  const plan = indexPlan(spec.index, rows);
  const index = plan === null ? 0 : indexBytes(plan, rows, spec.dimension);
  return rows * (4 * spec.dimension + 32) + 2 * texts + 2 * index;
}

async function mergeInto(
  sources: readonly SealedPart[],
  contents: Contents,
  files: Files,
  { threads, signal, exclusively }: OptimizeOptions,
): Promise<void> {
  const { disk, folder } = files;
  const { spec } = files.manifest;
  const merged = await mergeParts(sources, spec.dimension);
  if (merged === null) {
    await exclusively(() => replace(sources, null, contents, files));
    return;
  }
  const { columns } = merged;
  const plan = indexPlan(spec.index, columns.rows);
  const built = plan === null ? null : await buildIndex(columns, plan, { l2: spec.metric === 'l2', threads, signal });
  const ready = await partOf(columns, null);
  let number: number | null = null;
  let replaced = false;
  try {
    await exclusively(async () => {
      if (signal.aborted) throw new KindredError('CANCELLED', 'the collection is being closed');
      number = takeNumber(files);
      const bytes = await writeSegment(disk, segmentPath(folder, number, 'points'), columns);
      const index =
        built === null ? null : await writeFileSynced(disk, segmentPath(folder, number, 'index'), built.bytes);
      const entry: SegmentEntry = { number, rows: columns.rows, bytes, index };
      const now = (source: SealedPart): SealedPart =>
        contents.sealed.find(({ part }) => part === source.part) ?? source;
      const saved = merged.translate((source) => now(source).saved);
      const part: Part = { ...ready, alive: ready.alive, index: built?.index ?? null };
      const swap = (): void => {
        replaced = true;
        // Rows that died while the part was made, up to this very turn.
        const bits = merged.translate((source) => source.part.alive.share());
        if (bits === null) return;
        for (let row = 0; row < columns.rows; row++)
          if ((bits[row >> 3]! & (1 << (row & 7))) === 0) part.alive.remove(row);
      };
      await replace(sources, { part, entry, saved }, contents, files, swap);
    });
  } finally {
    // An error may come after the exchange.
    if (replaced) closeIndexes(sources);
    else {
      built?.index.close();
      if (number !== null) await removeSegment(files, number);
    }
  }
}

async function removeSegment({ disk, folder }: Files, number: number): Promise<void> {
  for (const part of ['points', 'index'] as const) await disk.remove(segmentPath(folder, number, part)).catch(() => {});
}

/** Parts that are replaced may still be searched; their indexes are freed when the last search ends. */
function closeIndexes(sources: readonly SealedPart[]): void {
  const indexes = sources.flatMap(({ part }): SegmentIndex[] => (part.index === null ? [] : [part.index]));
  for (const index of indexes) index.close();
}

async function replace(
  sources: readonly SealedPart[],
  merged: SealedPart | null,
  contents: Contents,
  files: Files,
  swap: () => void = () => {},
): Promise<void> {
  const parts = sources.map(({ part }) => part);
  const first = contents.sealed.findIndex(({ part }) => parts.includes(part));
  const left = contents.sealed.filter(({ part }) => !parts.includes(part));
  const before = contents.sealed.slice(0, first).filter(({ part }) => !parts.includes(part)).length;
  const next = merged === null ? left : [...left.slice(0, before), merged, ...left.slice(before)];
  await install(next, files.manifest, contents, files, swap);
}
