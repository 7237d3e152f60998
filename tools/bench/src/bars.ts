// What each row must reach, as data; rows that are not named here have no bar.

/** A bar and what is held against it. */
export interface Bar {
  readonly of: 'ratio' | 'ours';
  /** `atMost`: less is better in this row. */
  readonly must: 'atLeast' | 'atMost';
  readonly value: number;
}

/** The bars by the rows' ids, on 2 cores. */
export const bars: Readonly<Record<string, Bar>> = {
  'step-w16': { of: 'ratio', must: 'atLeast', value: 1.05 },
  'step-w64': { of: 'ratio', must: 'atLeast', value: 1.05 },
  'step-w16-nchw': { of: 'ratio', must: 'atLeast', value: 1.2 },
  'step-w64-nchw': { of: 'ratio', must: 'atLeast', value: 1.2 },
  'epoch-e2e-w16': { of: 'ratio', must: 'atLeast', value: 1.8 },
  'augment-1thread': { of: 'ratio', must: 'atLeast', value: 8 },
  'mine-50k': { of: 'ratio', must: 'atLeast', value: 1 },
  'memory-w64': { of: 'ratio', must: 'atMost', value: 1 },
  'embed-raw': { of: 'ratio', must: 'atLeast', value: 1.3 },
  'embed-over-forward': { of: 'ratio', must: 'atLeast', value: 0.85 },
  'embed-jpeg': { of: 'ratio', must: 'atLeast', value: 1.5 },
  'embed-p99': { of: 'ratio', must: 'atMost', value: 3 },
  'embed-overload': { of: 'ratio', must: 'atLeast', value: 0.95 },
  'embed-overload-refusal': { of: 'ours', must: 'atMost', value: 50 },
  'embed-overload-memory': { of: 'ratio', must: 'atMost', value: 1.1 },
  'embed-overload-eight': { of: 'ratio', must: 'atLeast', value: 0.95 },
  'embed-overload-eight-refusal': { of: 'ours', must: 'atMost', value: 50 },
  'embed-overload-eight-memory': { of: 'ratio', must: 'atMost', value: 1.1 },
  'artifact-put': { of: 'ratio', must: 'atLeast', value: 0.8 },
  'artifact-get': { of: 'ratio', must: 'atLeast', value: 0.8 },
  'artifact-memory-put': { of: 'ours', must: 'atMost', value: 200 },
  'artifact-memory-get': { of: 'ours', must: 'atMost', value: 200 },
  'flat-batch': { of: 'ratio', must: 'atLeast', value: 0.9 },
  'upsert-durable': { of: 'ratio', must: 'atLeast', value: 1.5 },
  'hnsw-single': { of: 'ratio', must: 'atLeast', value: 1.5 },
  recall: { of: 'ours', must: 'atLeast', value: 0.98 },
  'search-under-writes': { of: 'ours', must: 'atMost', value: 2 },
  'recall-restart': { of: 'ours', must: 'atLeast', value: 1 },
  restart: { of: 'ours', must: 'atMost', value: 20 },
  'restart-indexed': { of: 'ours', must: 'atMost', value: 20 },
  'compile-seconds': { of: 'ours', must: 'atMost', value: 3 },
};

/** Whether a row's figures reach the bar; null without a bar, or without the figure that it is about. */
export function reaches(bar: Bar | null, { ours, ratio }: { ours: number; ratio: number | null }): boolean | null {
  const figure = bar?.of === 'ours' ? ours : ratio;
  if (bar === null || figure === null) return null;
  return bar.must === 'atLeast' ? figure >= bar.value : figure <= bar.value;
}

/** The bar for people, for example `ratio ≥ 1.05`. */
export function barText({ of, must, value }: Bar): string {
  return `${of} ${must === 'atLeast' ? '≥' : '≤'} ${value}`;
}
