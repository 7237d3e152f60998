// A run's events as lines, a bar and JSON: one line an epoch for people, one object an event for programs.
import {
  PodEndReason,
  RunState,
  podEndReasonToJSON,
  runStateToJSON,
  stopReasonToJSON,
  type EpochCompleted,
  type PodEnded,
  type RunEvent,
  type RunStarted,
} from '@kindred/protocol/training';
import type { Bar, Output } from './output.js';
import { formatCount, formatDuration, formatPercent } from './quantities.js';

/** Turns events into output. */
export interface RunReporter {
  /** Reports one event. Events that were reported already are passed over. */
  event(event: RunEvent): void;
  notice(message: string): void;
  /** Reports how a pod of the run ended. */
  podEnded(end: PodEnded): void;
  /** Removes the bar. */
  close(): void;
}

const columns = { epoch: 9, loss: 8, rate: 10, knn: 9, speed: 10, left: 11 };

/** Makes the reporter of one run. */
export function createRunReporter(output: Output): RunReporter {
  let started: RunStarted | null = null;
  let bar: Bar | null = null;
  let learningRate: number | null = null;
  let clock: { readonly time: number; readonly steps: number } | null = null;
  let last = -1n;
  let secondsLeft = NaN;
  const epochs = new Map<number, EpochCompleted>();
  const knn = new Map<number, number>();
  const printed = new Set<number>();

  const line = (epoch: string, loss: string, rate: string, top1: string, speed: string, left: string): void =>
    output.text(
      epoch.padStart(columns.epoch) +
        loss.padStart(columns.loss) +
        rate.padStart(columns.rate) +
        top1.padStart(columns.knn) +
        speed.padStart(columns.speed) +
        left.padStart(columns.left),
    );

  const printEpoch = (epoch: number): void => {
    const completed = epochs.get(epoch);
    const top1 = knn.get(epoch + 1);
    if (completed === undefined || top1 === undefined || printed.has(epoch)) return;
    printed.add(epoch);
    const total = started?.epochs ?? 0;
    const { meanLoss, pairsPerSecond, seconds, residentBytes, tensorCount, dataWaitFraction } = completed;
    const left = epoch + 1 === total ? '' : formatDuration(secondsLeft);
    line(
      `${epoch + 1}/${total}`,
      meanLoss.toFixed(3),
      learningRate?.toPrecision(4) ?? '–',
      formatPercent(top1),
      pairsPerSecond.toFixed(0),
      left,
    );
    output.event('epoch', {
      epoch: epoch + 1,
      epochs: total,
      loss: meanLoss,
      learningRate,
      knnTop1: top1,
      pairsPerSecond,
      seconds,
      secondsLeft: Number.isFinite(secondsLeft) ? Math.round(secondsLeft) : null,
      dataWaitFraction,
      residentBytes,
      tensorCount,
    });
  };

  /** Time left from the events' own clock, so that a history that is told again gives the same. */
  const estimate = (steps: number, time: number): void => {
    if (started === null) return;
    clock ??= { time, steps };
    const done = steps - clock.steps;
    if (done > 0) secondsLeft = ((time - clock.time) / 1000 / done) * (stepsOf(started) - steps);
  };

  return {
    event({ number, time, kind }) {
      if (kind === undefined || number <= last) return;
      last = number;
      const at = time?.getTime() ?? Date.now();
      switch (kind.$case) {
        case 'started': {
          started = kind.value;
          const { trainSize, validationSize, stepsPerEpoch, epochs: count, parameterCount, device } = started;
          output.text(
            `${formatCount(trainSize)} training and ${formatCount(validationSize)} validation images, ` +
              `${count} epochs of ${stepsPerEpoch} steps, ${formatCount(parameterCount)} parameters, on ${device}`,
          );
          line('epoch', 'loss', 'rate', 'kNN', 'pairs/s', 'left');
          output.event('started', { ...started });
          bar = output.bar('training', stepsOf(started));
          break;
        }
        case 'stepCompleted': {
          const { epoch, step, loss, pairsPerSecond } = kind.value;
          ({ learningRate } = kind.value);
          const steps = epoch * (started?.stepsPerEpoch ?? 0) + step + 1;
          estimate(steps, at);
          bar?.update(
            steps,
            `epoch ${epoch + 1}/${started?.epochs ?? '?'}  loss ${loss.toFixed(3)}  ${pairsPerSecond.toFixed(0)} pairs/s  ${formatDuration(secondsLeft)} left`,
          );
          output.event('step', { ...kind.value });
          break;
        }
        case 'knnEvaluated': {
          const { epochsTrained, top1, seconds, backboneTop1 } = kind.value;
          output.event('knn', {
            epochsTrained,
            top1,
            seconds,
            ...(backboneTop1 === undefined ? {} : { backboneTop1 }),
          });
          if (epochsTrained === 0 && !knn.has(0)) line('untrained', '–', '–', formatPercent(top1), '', '');
          knn.set(epochsTrained, top1);
          printEpoch(epochsTrained - 1);
          if (backboneTop1 !== undefined)
            output.text(`${' '.repeat(columns.epoch)}  backbone kNN ${formatPercent(backboneTop1)}`);
          break;
        }
        case 'linearProbeEvaluated': {
          const { top1, iterations, converged } = kind.value;
          output.event('linearProbe', { ...kind.value });
          const end = converged ? '' : `, not converged after ${iterations} iterations`;
          output.text(`${' '.repeat(columns.epoch)}  linear probe ${formatPercent(top1)}${end}`);
          break;
        }
        case 'epochCompleted':
          epochs.set(kind.value.epoch, kind.value);
          printEpoch(kind.value.epoch);
          break;
        case 'checkpointWritten':
          output.event('checkpoint', { ...kind.value });
          break;
        case 'stopped': {
          const { reason, message, ...rest } = kind.value;
          output.text(`stops after step ${rest.stepsCompleted}: ${message}`);
          output.event('stopped', { ...rest, reason: stopReasonToJSON(reason), message });
          break;
        }
        case 'ended':
          output.event('ended', { state: RunState[kind.value.state] ?? runStateToJSON(kind.value.state) });
          break;
      }
    },
    podEnded({ reason, time: at, number, ...end }) {
      if (reason !== PodEndReason.COMPLETED)
        output.warn(end.log === '' ? end.message : `${end.message}; log: ${end.log}`);
      output.event('podEnded', {
        ...end,
        number: Number(number),
        time: at?.toISOString(),
        reason: podEndReasonToJSON(reason),
      });
    },
    notice(message) {
      output.warn(message);
      output.event('notice', { message });
    },
    close() {
      bar?.stop();
      bar = null;
    },
  };
}

/** Steps that a run has at most. */
function stepsOf({ epochs, stepsPerEpoch, limitSteps }: RunStarted): number {
  const all = Math.max(1, epochs * stepsPerEpoch);
  return limitSteps === 0n ? all : Math.min(all, Number(limitSteps));
}
