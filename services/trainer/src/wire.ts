// Runs and their events as the contract writes them.
import { canonicalJson } from '@kindred/experiment';
import * as training from '@kindred/protocol/training';
import type { Watched } from './event-log.js';
import { runKey, type Notice, type RunEvent, type RunEventBody, type RunState } from './run.js';
import type { RunView } from './runs.js';

const states: Record<RunState, training.RunState> = {
  pending: training.RunState.PENDING,
  running: training.RunState.RUNNING,
  succeeded: training.RunState.SUCCEEDED,
  failed: training.RunState.FAILED,
  cancelled: training.RunState.CANCELLED,
};

/** A run as the contract's message. */
export function toWireRun({ record, events, notices }: RunView): training.Run {
  const { specification, state, failure } = record;
  const bodies = events.map(({ body }) => body);
  const epochs = bodies.filter((body) => body.kind === 'epoch');
  const checks = bodies.filter((body) => body.kind === 'knn');
  const checkpoint = bodies.findLast((body) => body.kind === 'checkpoint');
  const started = bodies.find((body) => body.kind === 'started');
  const model = runKey(specification.runId, 'model.safetensors');
  return {
    runId: specification.runId,
    state: states[state],
    experimentJson: canonicalJson(specification.experiment),
    dataRoot: specification.dataRoot,
    seed: BigInt(specification.seed),
    epochsCompleted: epochs.length,
    stepsCompleted: BigInt(epochs.length * (started?.stepsPerEpoch ?? 0)),
    attempts: record.attempts,
    createTime: new Date(specification.createTime),
    updateTime: new Date(record.updateTime),
    failure: failure === null ? undefined : { ...failure },
    untrainedKnnTop1: checks.find(({ epochsTrained }) => epochsTrained === 0)?.top1,
    knnTop1: checks.filter(({ epochsTrained }) => epochsTrained > 0).map(({ top1 }) => top1),
    meanLoss: epochs.map(({ meanLoss }) => meanLoss),
    model: record.artifacts.includes(model) ? specification.runId : '',
    artifacts: [...record.artifacts, ...(checkpoint === undefined ? [] : [checkpoint.key])],
    eventCount: BigInt(events.length),
    notices: notices.map(toWireNotice),
  };
}

/** What a watcher receives, as the contract's message. */
export function toWireWatched(watched: Watched): training.WatchRunResponse {
  return 'event' in watched
    ? { content: { $case: 'event', value: toWireEvent(watched.event) } }
    : { content: { $case: 'notice', value: toWireNotice(watched.notice) } };
}

function toWireNotice({ time, message }: Notice): training.Notice {
  return { time: new Date(time), message };
}

function toWireEvent({ number, time, body }: RunEvent): training.RunEvent {
  return { number: BigInt(number), time: new Date(time), kind: toWireKind(body) };
}

function toWireKind(body: RunEventBody): NonNullable<training.RunEvent['kind']> {
  switch (body.kind) {
    case 'started':
      return { $case: 'started', value: { ...body, parameterCount: BigInt(body.parameterCount) } };
    case 'step':
      return { $case: 'stepCompleted', value: body };
    case 'knn':
      return { $case: 'knnEvaluated', value: body };
    case 'epoch':
      return { $case: 'epochCompleted', value: { ...body, residentBytes: BigInt(body.residentBytes) } };
    case 'checkpoint':
      return { $case: 'checkpointWritten', value: body };
    case 'ended':
      return { $case: 'ended', value: { state: states[body.state], failure: body.failure ?? undefined } };
  }
}
