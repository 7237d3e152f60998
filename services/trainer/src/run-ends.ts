// How a run ends or rests: stored first, with its manifest and its history for TensorBoard, then told.
import { toKindredError, type KindredError } from '@kindred/errors';
import type { Logger } from '@kindred/service-runtime';
import type { EventFiles } from './event-files.js';
import type { RunEvent, RunFailure, RunRecord, RunState } from './run.js';
import { failureOf, type RunEntry } from './run-entry.js';
import type { RunLineage } from './run-lineage.js';
import { countEnd } from './run-metrics.js';
import type { RunStore } from './run-store.js';

/** Where ends are written. */
export interface RunEndsOptions {
  readonly store: RunStore;
  readonly logger: Logger;
  /** Shows histories in TensorBoard. @default not written */
  readonly eventFiles?: EventFiles;
  /** Says where runs come from. @default not written */
  readonly lineage?: RunLineage;
}

/** The ways in which a run comes to rest. */
export interface RunEnds {
  endRun(entry: RunEntry, state: RunState, failure: RunFailure | null, artifacts?: readonly string[]): Promise<void>;
  /** Ends a run by an error; where there is no space, nothing is wrong with the run, and it is paused. */
  stop(entry: RunEntry, error: KindredError, stepsCompleted: number | null): Promise<void>;
  /** Only a view of the stored history: where it cannot be written, the run goes on. */
  showHistory(entry: RunEntry): Promise<void>;
}

/** What errors of a full disk are about: the artifact store's folder, or a file outside it. */
const noSpaceResources: readonly string[] = ['folder', 'file'];

/** Makes them. */
export function createRunEnds(options: RunEndsOptions): RunEnds {
  const { store, logger } = options;

  /** Only a view of the stored history: where it cannot be written, the run goes on. */
  const showHistory = async ({ record: { specification }, log }: RunEntry): Promise<void> => {
    try {
      await options.eventFiles?.write(specification, log.events);
    } catch (thrown) {
      logger.warn({ err: thrown, run: specification.runId }, 'no event file for TensorBoard');
    }
  };

  /** Ends a run by an error; where there is no space, nothing is wrong with the run, and it is paused. */
  const stop = async (entry: RunEntry, error: KindredError, stepsCompleted: number | null): Promise<void> => {
    const { runId } = entry.record.specification;
    const { code, message } = error;
    const failure = failureOf(entry, error, stepsCompleted);
    const pauses = isNoSpace(error);
    logger.warn({ run: runId, code, message }, pauses ? 'run paused' : 'run failed');
    if (!pauses) return endRun(entry, 'failed', failure);
    entry.log.cutBack(entry.storedEvents);
    await rest(entry, { ...entry.record, state: 'paused', failure, tail: [], updateTime: new Date().toISOString() });
    entry.log.notify(`paused until it is resumed: ${failure.message}`);
    entry.log.setPaused(true);
  };

  const endRun = async (
    entry: RunEntry,
    state: RunState,
    failure: RunFailure | null,
    artifacts: readonly string[] = [],
  ): Promise<void> => {
    countEnd(state);
    const time = new Date().toISOString();
    const event: RunEvent = { number: entry.log.events.length, time, body: { kind: 'ended', state, failure } };
    const tail = [...entry.log.events.slice(entry.storedEvents), event];
    const record = { ...entry.record, state, failure, artifacts, tail, updateTime: time };
    await trace(record, entry);
    await rest(entry, record);
    await showHistory(entry);
    // Whoever hears of the end finds it stored.
    entry.log.append(time, event.body);
  };

  /** Before the end is stored, so that an ended run has its manifest; where it cannot be written, the run ends all the same. */
  const trace = async (record: RunRecord, { commits, log }: RunEntry): Promise<void> => {
    try {
      await options.lineage?.writeRun(record, commits, log.events);
    } catch (thrown) {
      logger.warn({ err: thrown, run: record.specification.runId }, 'no manifest of a run');
    }
  };

  /** Stores a state in which the run stays. Where that fails, the watchers are still not left waiting. */
  const rest = async (entry: RunEntry, record: RunRecord): Promise<void> => {
    try {
      await store.saveResting(record);
    } catch (thrown) {
      const { runId } = record.specification;
      const { message } = toKindredError(thrown);
      logger.error({ err: thrown, run: runId, state: record.state }, 'the state of a run could not be stored');
      entry.log.notify(
        `the run is ${record.state}, which could not be stored (${message}): after a restart of the trainer it goes on`,
      );
    }
    entry.record = record;
  };

  return { endRun, stop, showHistory };
}

/** Whether a disk is full. Any other limit that a run passes, it passes again when it is resumed. */
function isNoSpace({ code, resource }: KindredError): boolean {
  return code === 'RESOURCE_EXHAUSTED' && noSpaceResources.includes(resource?.type ?? '');
}
