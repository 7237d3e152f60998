// What decides on the bits of a result, and whether it changed since a checkpoint.
import type { TensorFlowOptions } from '@kindred/tensorflow-native';

/** Where a person sets what decides on the bits of a result. */
const settingVariables: Readonly<Record<keyof TensorFlowOptions, string>> = {
  intraOpThreads: 'KINDRED_TRAINER_THREADS',
  interOpThreads: 'operations side by side',
  xla: 'KINDRED_TRAINER_XLA',
  tf32: 'KINDRED_TRAINER_TF32',
};

/** What differs between the settings of a checkpoint and those now, for people; empty: nothing, or none are known. */
export function otherSettings(before: TensorFlowOptions | undefined, now: TensorFlowOptions): string {
  if (before === undefined) return '';
  const differing = (Object.keys(settingVariables) as (keyof TensorFlowOptions)[]).filter(
    (key) => before[key] !== now[key],
  );
  return differing.map((key) => `${settingVariables[key]}: ${before[key]}, now ${now[key]}`).join('; ');
}
