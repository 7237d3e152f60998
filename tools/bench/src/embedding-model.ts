// The networks of the suite `embedding`: the paper's width, random weights, which cost what trained ones cost.
import { createArchitecture, initialParameters, type ModelFile } from '@kindred/simclr';

/** The forms that are measured. */
export type BenchForm = 'cifar' | 'stl';

/** Sides of the images that each form takes, in pixels. */
const sides: Readonly<Record<BenchForm, number>> = { cifar: 32, stl: 96 };

/** A model of width 64. */
export function benchModel(form: BenchForm): ModelFile {
  const architecture = createArchitecture({ form, width: 64 });
  return {
    architecture,
    parameters: initialParameters(architecture, 1),
    normalisation: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
    cropSize: sides[form],
    origin: {},
  };
}
