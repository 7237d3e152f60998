// Encoded images, wherever they lie: the files below a folder, or the entries of a zip archive.

/** One encoded image. */
export interface ImageSource {
  /** Path for error messages. */
  readonly path: string;
  /** Path below the root, `/`-separated, e.g. `train/cat/0001.png`. */
  readonly relativePath: string;
  /** The encoded bytes. */
  readonly read: () => Promise<Uint8Array>;
}

/** An opened place of images. */
export interface ImageCollection {
  readonly sources: readonly ImageSource[];
  readonly close: () => Promise<void>;
}

/** Whether a file's name ends as an image that can be decoded, and is no hidden file (`._x.png` of macOS archives). */
export function isImageName(name: string): boolean {
  return /(^|\/)[^./][^/]*\.(png|jpe?g|webp)$/i.test(name) && !/(^|\/)__MACOSX\//.test(name);
}
