// All rows of a collection: sealed parts, parts that wait to be written, and the one that grows.
import type { PointId } from '../engine/points.js';
import type { Change } from '../storage/log-record.js';
import { createGrowingPart, type GrowingPart } from './growing-part.js';
import type { SegmentEntry } from './manifest.js';
import { locate, type Part } from './part.js';

/** Bytes from which on rows grow in another part: less than half of 4 GiB, since columns double, and texts take up to 3 bytes a character. */
const maxGrowingBytes = 1024 * 1024 * 1024;

/** A part that is on disk. */
export interface SealedPart {
  readonly part: Part;
  readonly entry: SegmentEntry;
  /** Rows that were alive at the manifest's sequence; null: all. */
  readonly saved: Uint8Array | null;
}

/** What a collection holds; changes of parts are made by replacing the lists. */
export interface Contents {
  readonly dimension: number;
  sealed: readonly SealedPart[];
  /** Oldest first. */
  frozen: readonly GrowingPart[];
  growing: GrowingPart;
  size: number;
  labelled: number;
}

/** Nothing, for vectors of `dimension` numbers. */
export function emptyContents(dimension: number): Contents {
  return { dimension, sealed: [], frozen: [], growing: createGrowingPart(dimension), size: 0, labelled: 0 };
}

/** All parts, oldest first. An id is alive in at most one of them. */
export function partsOf({ sealed, frozen, growing }: Contents): Part[] {
  return [...sealed.map(({ part }) => part), ...frozen, growing];
}

/** Makes a change; returns how many points it stored or deleted. Making it again changes nothing. */
export function applyChange(contents: Contents, change: Change): number {
  const parts = partsOf(contents);
  const remove = (id: PointId): boolean => {
    const found = locate(parts, id);
    if (found === null || !found.part.alive.remove(found.row)) return false;
    contents.size--;
    if (found.part.labels[found.row]! >= 0) contents.labelled--;
    return true;
  };
  if (change.kind === 'delete') return change.ids.reduce((count, id) => count + (remove(id) ? 1 : 0), 0);
  const { points } = change;
  for (const id of points.ids) remove(id);
  // Its columns would outgrow what one array holds; the next checkpoint writes each part by itself.
  if (contents.growing.rows > 0 && contents.growing.memoryBytes() >= maxGrowingBytes) {
    contents.frozen = [...contents.frozen, contents.growing];
    contents.growing = createGrowingPart(contents.dimension);
  }
  contents.growing.add(points);
  contents.size += points.ids.length;
  for (const label of points.labels) if (label >= 0) contents.labelled++;
  return points.ids.length;
}

/** Bytes of memory of all parts, as accounted. */
export function memoryOf(contents: Contents): number {
  return partsOf(contents).reduce((sum, part) => sum + part.memoryBytes() + (part.index?.bytes() ?? 0), 0);
}
