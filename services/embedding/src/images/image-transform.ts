// The way from an image to a network's input, as the model's file has it.

/** A model's own transform; options of augmentation's evaluation pipeline. */
export interface ImageTransform {
  /** Height and width in pixels of what the network takes. */
  readonly cropSize: number;
  /** Shorter side to which images of other sizes are resized before the crop; null: none is. */
  readonly resizeSide: number | null;
}
