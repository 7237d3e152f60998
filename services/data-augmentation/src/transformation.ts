// How images become views, as plain data that crosses threads, and the pipeline that does it.
import {
  createEvaluationPipeline,
  createSimclrPipeline,
  type ResolvedSimclrOptions,
  type RgbImage,
} from '@kindred/augmentation';

/** Two random views an image. */
export interface SimclrTransformation {
  readonly kind: 'simclr';
  readonly options: ResolvedSimclrOptions;
}

/** One view an image: its centre. */
export interface EvaluationTransformation {
  readonly kind: 'evaluation';
  /** Side of the view in pixels. */
  readonly cropSize: number;
}

/** How images become views. */
export type Transformation = SimclrTransformation | EvaluationTransformation;

/** Shape of what a {@link Transformation} makes of one image. */
export interface ViewShape {
  /** Views an image. */
  readonly views: 1 | 2;
  /** Height and width of a view in pixels. */
  readonly side: number;
  /** Bytes of all views of one image. */
  readonly bytes: number;
}

/** Writes the views of one image into `out` from byte `offset` on; chance depends on `key` alone. */
export type ViewWriter = (
  image: RgbImage,
  key: { readonly seed: bigint; readonly epoch: number; readonly imageIndex: number },
  out: Uint8Array,
  offset: number,
) => void;

/** The shape of the views that `transformation` makes. */
export function viewShape(transformation: Transformation): ViewShape {
  const views = transformation.kind === 'simclr' ? 2 : 1;
  const side = transformation.kind === 'simclr' ? transformation.options.size : transformation.cropSize;
  return { views, side, bytes: views * side * side * 3 };
}

/** The pipeline of `transformation`, whose options have been checked. */
export function createViewWriter(transformation: Transformation): ViewWriter {
  if (transformation.kind === 'evaluation') {
    const evaluation = createEvaluationPipeline({ cropSize: transformation.cropSize });
    return (image, _key, out, offset) => evaluation.view(image, out, offset);
  }
  const { options } = transformation;
  const simclr = createSimclrPipeline({
    random_resized_crop: { size: options.size, scale: [options.minArea, options.maxArea] },
    color_jitter_random_apply: { p: options.jitterProbability },
    color_jitter: options,
    random_grayscale: { p: options.grayscaleProbability },
  });
  return (image, key, out, offset) => simclr.viewPair(image, key, out, offset);
}
