// Why an image cannot be decoded, as its caller may read it: the decoder's own words, without its noise and in one short line.
import { imageKind } from './image-kind.js';

/** Characters of the decoder's words that callers see. */
const maxLength = 200;
/** Where a PNG's header has width and height (PNG specification, section 11.2.1). */
const [widthAt, heightAt] = [16, 20];

/** What is wrong with `bytes`, which the decoder has refused with `thrown`. At most some 200 characters; no path of this machine. */
export function decoderFault(thrown: unknown, bytes: Uint8Array): string {
  // libpng's words for it get lost on the way.
  const size = pngSize(bytes);
  if (size !== null && size.width * size.height === 0) return `its header says ${size.width}×${size.height} pixels`;
  const lines = (thrown instanceof Error ? thrown.message : String(thrown))
    .split('\n')
    .map((line) =>
      line
        // libvips tries positions behind the end before it gives up.
        .replace(/source: bad seek to \d+/g, '')
        .replace(/(?:\/[\w.+-]+){2,}/g, '…')
        .replace(/[\p{C}\s]+/gu, ' ')
        .replace(/[\s:]+$/, '')
        .trim(),
    )
    .filter((line) => line !== '');
  const text = [...new Set(lines)].join('; ');
  const points = [...text];
  return points.length <= maxLength ? text : `${points.slice(0, maxLength).join('')}…`;
}

function pngSize(bytes: Uint8Array): { readonly width: number; readonly height: number } | null {
  if (imageKind(bytes) !== 'png' || bytes.length < heightAt + 4) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { width: view.getUint32(widthAt), height: view.getUint32(heightAt) };
}
