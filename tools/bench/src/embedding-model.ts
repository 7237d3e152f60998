// The networks of the suite `embedding`: the paper's width, random weights, which cost what trained ones cost.
import { createArchitecture, initialParameters, type Architecture, type ModelFile } from '@kindred/simclr';

/** Sides of the images that each form takes, in pixels. */
const sides: Readonly<Record<Architecture['form'], number>> = { cifar: 32, stl: 96, imagenet: 224 };

/** A model of width 64. */
export function benchModel(form: Architecture['form']): ModelFile {
  const architecture = createArchitecture({ form, width: 64 });
  return {
    architecture,
    parameters: initialParameters(architecture, 1),
    normalisation: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
    cropSize: sides[form],
    origin: {},
  };
}
