// What the artifact store keeps of a run: what was asked for, how it went, its last checkpoint. Read there, so that no service need run.
import type { ArtifactStore } from '@kindred/artifact-store';
import { KindredError, isKindredError, notFound } from '@kindred/errors';
import { readExperiment, type Experiment } from '@kindred/experiment';

/** One epoch of a run. Accuracies in percent. */
export interface EpochFacts {
  /** From 1. */
  readonly epoch: number;
  readonly meanLoss: number;
  readonly seconds: number;
  /** Of the check after it; null where it was stopped before. */
  readonly knnTop1: number | null;
  /** Null unless asked for. */
  readonly backboneKnnTop1: number | null;
  /** Null unless asked for. */
  readonly linearProbeTop1: number | null;
}

/** A run as the store has it. */
export interface RunHistory {
  readonly runId: string;
  /** `succeeded`, `running` and so on. */
  readonly state: string;
  readonly experiment: Experiment;
  /** 64 bits, as decimal text. */
  readonly seed: string;
  readonly createTime: string;
  readonly updateTime: string;
  readonly untrainedKnnTop1: number | null;
  readonly epochs: readonly EpochFacts[];
  /** Rate of the last step that was logged; null: none was. */
  readonly lastLearningRate: number | null;
  /** Null: none was saved. */
  readonly checkpoint: { readonly key: string; readonly sha256: string } | null;
}

/** As the trainer writes them; anything may be missing in a damaged file. */
interface StoredRecord {
  readonly specification?: { readonly experiment?: unknown; readonly seed?: string; readonly createTime?: string };
  readonly state?: string;
  readonly updateTime?: string;
  readonly tail?: readonly StoredEvent[];
}

interface StoredCommit {
  readonly checkpoint?: { readonly key?: string; readonly sha256?: string };
  readonly events?: readonly StoredEvent[];
}

interface StoredEvent {
  readonly body?: { readonly kind?: string; readonly [field: string]: unknown };
}

/** Reads a run. @throws KindredError NOT_FOUND; DATA_LOSS naming the file when one is damaged. */
export async function readRunHistory(store: ArtifactStore, runId: string): Promise<RunHistory> {
  const key = `runs/${runId}/run.json`;
  const record = await readJson<StoredRecord>(store, key, () => notFound('run', runId));
  const { specification, state = '', updateTime = '', tail = [] } = record;
  const events: StoredEvent[] = [];
  let checkpoint: RunHistory['checkpoint'] = null;
  for await (const { key: commitKey } of store.list(`runs/${runId}/commits/`)) {
    if (!commitKey.endsWith('.json')) continue;
    const commit = await readJson<StoredCommit>(store, commitKey);
    const { key: saved, sha256 } = commit.checkpoint ?? {};
    if (saved === undefined || sha256 === undefined) throw damaged(commitKey);
    checkpoint = { key: saved, sha256 };
    events.push(...(commit.events ?? []));
  }
  return {
    runId,
    state,
    experiment: readExperiment({ text: JSON.stringify(specification?.experiment ?? null), file: key }),
    seed: specification?.seed ?? '',
    createTime: specification?.createTime ?? '',
    updateTime,
    checkpoint,
    ...factsOf([...events, ...tail]),
  };
}

function factsOf(events: readonly StoredEvent[]): Pick<RunHistory, 'untrainedKnnTop1' | 'epochs' | 'lastLearningRate'> {
  let untrainedKnnTop1: number | null = null;
  let lastLearningRate: number | null = null;
  // By epoch: of one that was done again after a loss, the last time counts.
  const epochs = new Map<number, EpochFacts>();
  const add = (epoch: number, facts: Partial<EpochFacts>): void => {
    const none = { meanLoss: NaN, seconds: NaN, knnTop1: null, backboneKnnTop1: null, linearProbeTop1: null };
    epochs.set(epoch, { ...none, ...epochs.get(epoch), ...facts, epoch });
  };
  for (const { body = {} } of events) {
    const number = (field: string): number => Number(body[field]);
    if (body.kind === 'step') lastLearningRate = number('learningRate');
    if (body.kind === 'epoch') add(number('epoch') + 1, { meanLoss: number('meanLoss'), seconds: number('seconds') });
    if (body.kind === 'knn' && number('epochsTrained') === 0) untrainedKnnTop1 = number('top1');
    else if (body.kind === 'knn') {
      const backboneKnnTop1 = body['backboneTop1'] === undefined ? null : number('backboneTop1');
      add(number('epochsTrained'), { knnTop1: number('top1'), backboneKnnTop1 });
    } else if (body.kind === 'linear-probe' && number('epochsTrained') > 0) {
      add(number('epochsTrained'), { linearProbeTop1: number('top1') });
    }
  }
  const known = [...epochs.values()].filter(({ meanLoss }) => !Number.isNaN(meanLoss));
  return { untrainedKnnTop1, lastLearningRate, epochs: known.sort((a, b) => a.epoch - b.epoch) };
}

async function readJson<T>(store: ArtifactStore, key: string, absent?: () => KindredError): Promise<T> {
  let text: string;
  try {
    text = new TextDecoder().decode(await store.get(key));
  } catch (thrown) {
    throw absent !== undefined && isKindredError(thrown, 'NOT_FOUND') ? absent() : thrown;
  }
  try {
    return (JSON.parse(text) ?? {}) as T;
  } catch (cause) {
    throw damaged(key, cause);
  }
}

function damaged(key: string, cause?: unknown): KindredError {
  return new KindredError('DATA_LOSS', `${key} is damaged; put the file back from a copy`, {
    resource: { type: 'artifact', name: key },
    cause,
  });
}
