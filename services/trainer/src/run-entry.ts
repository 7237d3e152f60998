// One run in the service's memory: its record, its events, its checkpoints.
import type { KindredError } from '@kindred/errors';
import { canonicalJson } from '@kindred/experiment';
import { createEventLog, type EventLog } from './event-log.js';
import { noResources } from './run-resources.js';
import type { PodEnd } from './pod-ends.js';
import type { Checkpointed, Notice, RunEvent, RunFailure, RunRecord, RunSpecification } from './run.js';
import { eventsOf, type StoredRun } from './run-store.js';

/** A run as callers see it. */
export interface RunView {
  readonly record: RunRecord;
  readonly events: readonly RunEvent[];
  readonly notices: readonly Notice[];
  readonly podEnds: readonly PodEnd[];
}

/** A run in memory. */
export interface RunEntry {
  record: RunRecord;
  readonly log: EventLog;
  /** Its commits in order, without their events; the last is where it goes on. */
  commits: readonly Checkpointed[];
  /** Events that are stored in commits. */
  storedEvents: number;
  /** Processes lost since the last checkpoint. */
  losses: number;
  cancelling: boolean;
  /** Ends when the change of state under way is stored; the next one waits for it. */
  changing: Promise<unknown>;
}

/** Makes the entry of a run as it was found in the store, or of a new one. */
export function createRunEntry({ record, commits, damage, podEnds = [] }: StoredRun): RunEntry {
  const committed = eventsOf(commits);
  const log = createEventLog([...committed, ...record.tail]);
  for (const message of damage) log.notify(message);
  for (const end of podEnds) log.addPodEnd(end);
  log.setPaused(record.state === 'paused');
  return {
    record,
    log,
    commits: commits.map(({ events: _, ...checkpointed }) => checkpointed),
    storedEvents: committed.length,
    losses: 0,
    cancelling: record.cancelling === true,
    changing: Promise.resolve(),
  };
}

/** The record of a run that nobody has worked on. */
export function newRecord(specification: RunSpecification): RunRecord {
  const { createTime: updateTime } = specification;
  return { specification, state: 'pending', attempts: 0, failure: null, artifacts: [], updateTime, tail: [] };
}

/** An entry as callers see it. */
export function viewOf({ record, log }: RunEntry): RunView {
  return { record, events: log.events, notices: log.notices, podEnds: log.podEnds };
}

/** The last checkpoint; null before the first. */
export function lastCheckpoint({ commits }: RunEntry): Checkpointed | null {
  return commits.at(-1) ?? null;
}

/** Keys of the checkpoints to keep: the last `count` and the best by kNN. */
export function keptCheckpoints({ commits }: RunEntry, count: number): string[] {
  const best = commits.findLast(({ checkpoint }) => checkpoint.best);
  const kept = [...commits.slice(-count), ...(best === undefined ? [] : [best])];
  return kept.map(({ checkpoint }) => checkpoint.key);
}

/** An error as the reason why this run stopped; names its last good checkpoint. */
export function failureOf(entry: RunEntry, { code, message }: KindredError, stepsCompleted: number | null): RunFailure {
  const checkpoint = lastCheckpoint(entry)?.checkpoint.key ?? '';
  const place = checkpoint === '' ? '' : `; the last good checkpoint is ${checkpoint}`;
  return { code, message: `${message}${place}`, stepsCompleted, checkpoint };
}

/** Does `change` once the changes of this run before it are stored. */
export async function exclusively<T>(entry: RunEntry, change: () => Promise<T>): Promise<T> {
  const result = entry.changing.then(change);
  entry.changing = result.catch(() => {});
  return result;
}

/** Whether two specifications ask for the same. */
export function sameContent(a: RunSpecification, b: RunSpecification): boolean {
  return contentOf(a) === contentOf(b);
}

/** What a specification asks for, as one text. */
export function contentOf({ experiment, dataRoot, seed, resources = noResources }: RunSpecification): string {
  const { accelerator, acceleratorCount, cpuMillis, memoryBytes, priorityClass } = resources;
  const asked = [accelerator, acceleratorCount, cpuMillis, memoryBytes, priorityClass];
  return JSON.stringify([canonicalJson(experiment), dataRoot, seed, asked]);
}

/** Orders entries by creation, oldest first. */
export function byCreation(a: RunEntry, b: RunEntry): number {
  return a.record.specification.createTime < b.record.specification.createTime ? -1 : 1;
}
