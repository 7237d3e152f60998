// Suites `gpu` and `gpu-xla`: how fast is one training step on a GPU, and how much of its memory does it take, against eager PyTorch?
import { join } from 'node:path';
import type { Precision } from '@kindred/tensorflow-native';
import { contest } from '../contest.js';
import type { Contestant } from '../contestant.js';
import { trainingStepEntry } from '../entries.js';
import { startOwn } from '../own-process.js';
import { startPeer } from '../peer-process.js';
import { compare, type Row } from '../report.js';
import { unwatched, type Round } from '../rounds.js';
import type { StepOptions } from '../step-trainer.js';
import type { Suite, SuiteContext } from './suite.js';

const width = 64;
/** Steps of a round, by images of a step: the reference's batch of 512 pairs, and a quarter of it. */
const stepsByViews: Readonly<Record<number, number>> = { 1024: 20, 256: 60 };

/** What both sides compute in. */
interface Arithmetic {
  readonly name: string;
  readonly precision: Precision;
  /** Whether float32 products may be rounded to TF32. */
  readonly tf32: boolean;
}

/** One comparison. */
interface Case extends Arithmetic {
  readonly views: number;
  /** What else is measured: ours without prefetch, PyTorch as the reference runs it. @default neither */
  readonly also?: 'prefetch' | 'nchw';
}

const float32: Arithmetic = { name: 'float32', precision: 'float32', tf32: false };
const tf32: Arithmetic = { name: 'tf32', precision: 'float32', tf32: true };
const bfloat16: Arithmetic = { name: 'bfloat16', precision: 'bfloat16', tf32: true };
const float16: Arithmetic = { name: 'float16', precision: 'float16', tf32: true };

/** The suite. Needs a GPU, TensorFlow's CUDA build (`KINDRED_TENSORFLOW=gpu npm run setup`) and a PyTorch that sees the GPU. */
export const gpuSuite: Suite = {
  name: 'gpu',
  description: 'one training step on a GPU, in float32, TF32, bfloat16 and float16, against eager PyTorch',
  run: (context) =>
    runSuite(context, 'gpu', false, [
      { ...bfloat16, views: 1024, also: 'prefetch' },
      { ...float16, views: 1024 },
      { ...tf32, views: 1024, also: 'nchw' },
      { ...bfloat16, views: 256 },
      { ...float32, views: 1024 },
      { ...float16, views: 256 },
    ]),
};

/** The same with XLA, which takes long to compile: a suite of its own. */
export const gpuXlaSuite: Suite = {
  name: 'gpu-xla',
  description: 'the same with XLA on our side, in TF32 and bfloat16',
  run: (context) =>
    runSuite(context, 'gpu-xla', true, [
      { ...bfloat16, views: 1024 },
      { ...tf32, views: 1024 },
    ]),
};

async function runSuite(context: SuiteContext, suite: string, xla: boolean, cases: readonly Case[]) {
  const rows: Row[] = [];
  const versions: Record<string, string> = {};
  for (const chosen of cases) {
    const found = await compareSteps(suite, context, chosen, xla);
    rows.push(...found.rows);
    Object.assign(versions, found.versions);
  }
  return { rows, versions };
}

async function compareSteps(
  suite: string,
  { rounds, python, peers, threads, say }: SuiteContext,
  { name, precision, tf32: rounded, views, also }: Case,
  xla: boolean,
): Promise<{ rows: Row[]; versions: Readonly<Record<string, string>> }> {
  const tensorFlow = { intraOpThreads: threads, tf32: rounded, xla };
  const options: StepOptions = { width, views, precision, tensorFlow };
  const own = (more: Partial<StepOptions>) => () => startOwn(trainingStepEntry, { ...options, ...more });
  const shape = ['--width', `${width}`, '--views', `${views}`, '--threads', `${threads}`];
  const arithmetic = ['--device', 'cuda', '--precision', precision, ...(rounded ? [] : ['--no-tf32'])];
  const peer = (layout: string) => () =>
    startPeer({ python, script: join(peers, 'step.py'), args: [...shape, ...arithmetic, '--layout', layout] });
  const held: Record<string, number | null> = {};
  const sides: Record<string, () => Promise<Contestant>> = {
    ours: remembering(held, 'ours', own({})),
    ...(also === 'prefetch' ? { notAhead: own({ prefetch: false }) } : {}),
    channelsLast: remembering(held, 'channelsLast', peer('channels_last')),
    ...(also === 'nchw' ? { nchw: peer('nchw') } : {}),
  };
  const id = `${suite}-${name}-v${views}`;
  const unit = 'images/s';
  const steps = stepsByViews[views] ?? 20;
  const { rates, versions } = await contest({ label: id, sides, rounds, steps, unit, say, watch: unwatched });
  const row = { suite, unit };
  const rows = [compare({ ...row, id, against: 'eager PyTorch, channels last' }, rates, 'ours', 'channelsLast')];
  if (also === 'nchw') {
    rows.push(compare({ ...row, id: `${id}-nchw`, against: 'eager PyTorch, NCHW' }, rates, 'ours', 'nchw'));
  }
  if (also === 'prefetch') {
    rows.push(compare({ ...row, id: `${id}-prefetch`, against: 'ours without prefetch' }, rates, 'ours', 'notAhead'));
  }
  const memory = { ours: roundOf(held['ours']), channelsLast: roundOf(held['channelsLast']) };
  if (memory.ours.length > 0 && memory.channelsLast.length > 0) {
    const against = 'channels last: GPU memory that the process holds';
    rows.push(compare({ suite, unit: 'MiB', id: `${id}-memory`, against }, memory, 'ours', 'channelsLast'));
  }
  return { rows, versions };
}

function roundOf(figure: number | null = null): readonly Round[] {
  return figure === null ? [] : [{ figure, othersCores: null }];
}

/** A side whose GPU memory is put down under its name after each round; both sides keep what they once took. */
function remembering(memory: Record<string, number | null>, name: string, start: () => Promise<Contestant>) {
  return async (): Promise<Contestant> => {
    const side = await start();
    return {
      ...side,
      async round(steps) {
        const result = await side.round(steps);
        memory[name] = result.deviceMiB ?? null;
        return result;
      },
    };
  };
}
