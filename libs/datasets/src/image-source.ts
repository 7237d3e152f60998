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

const png = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
const jpeg = Buffer.of(0xff, 0xd8, 0xff);

/** Whether the bytes begin as PNG, JPEG or WebP do, the kinds that are read here, whatever their name says. */
export function hasImageSignature(content: Uint8Array): boolean {
  const start = Buffer.from(content.subarray(0, 12));
  if (start.subarray(0, png.length).equals(png) || start.subarray(0, jpeg.length).equals(jpeg)) return true;
  return start.toString('latin1', 0, 4) === 'RIFF' && start.toString('latin1', 8, 12) === 'WEBP';
}
