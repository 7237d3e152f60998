// Weights by the golden files' formula: the same numbers in any language, with no weights file.
import { modelSpecification, parameterSize } from '@kindred/simclr';
import { readGoldenJson } from '@kindred/testing';
import type { Architecture, Normalisation, StateDict } from '@kindred/simclr';

/** What a `model-*.json` of the golden folder says. */
export interface GoldenModel extends Normalisation {
  readonly salt: number;
  readonly tensors: readonly {
    readonly name: string;
    readonly shape: readonly number[];
    readonly kind: 'formula' | 'zero';
    readonly scale?: number;
    readonly offset?: number;
  }[];
}

/** Reads a golden model's description. */
export function readGoldenModel(name: string): GoldenModel {
  return readGoldenJson<GoldenModel>(name);
}

/** The weights of a golden model; `plainStatistics` puts BatchNorm's running mean to 0 and variance to 1. */
export function goldenWeights({ salt, tensors }: GoldenModel, plainStatistics = false): StateDict {
  const result: Record<string, Float32Array> = {};
  tensors.forEach(({ name, shape, kind, scale = 0, offset = 0 }, index) => {
    const values = new Float32Array(parameterSize(shape));
    if (plainStatistics && name.endsWith('running_var')) values.fill(1);
    else if (kind === 'formula' && !(plainStatistics && name.endsWith('running_mean'))) {
      for (let i = 0; i < values.length; i++) {
        const angle = Math.sin((i + 1) * 12.9898 + (index + 1 + salt) * 78.233) * 43758.5453;
        values[i] = (angle - Math.floor(angle) - 0.5) * scale + offset;
      }
    }
    result[name] = values;
  });
  return result;
}

/** Names and shapes of the specification, as the golden files list them. */
export function specifiedTensors(architecture: Architecture): { name: string; shape: readonly number[] }[] {
  return modelSpecification(architecture).map(({ name, shape }) => ({ name, shape }));
}

/** Largest absolute difference of two arrays of one length. */
export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) throw new Error(`lengths differ: ${a.length} and ${b.length}`);
  let largest = 0;
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs((a[i] ?? Number.NaN) - (b[i] ?? Number.NaN)));
  return largest;
}
