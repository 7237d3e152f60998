// Which kind of image bytes are, by their first bytes: what is none of these never reaches a decoder.

/** The kinds that are taken. */
export const imageKinds = ['jpeg', 'png', 'webp', 'avif', 'gif'] as const;

/** One of the {@link imageKinds}. */
export type ImageKind = (typeof imageKinds)[number];

/** The kind of `bytes`; null for others. */
export function imageKind(bytes: Uint8Array): ImageKind | null {
  const start = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 64)).toString('latin1');
  if (start.startsWith('\xff\xd8\xff')) return 'jpeg';
  if (start.startsWith('\x89PNG\r\n\x1a\n')) return 'png';
  if (start.startsWith('RIFF') && start.startsWith('WEBP', 8)) return 'webp';
  if (start.startsWith('GIF87a') || start.startsWith('GIF89a')) return 'gif';
  return isAvif(start) ? 'avif' : null;
}

/** ISO base media: a box `ftyp` with the brand `avif` (or `avis`, a sequence) first or among the compatible ones. */
function isAvif(start: string): boolean {
  if (!start.startsWith('ftyp', 4)) return false;
  const end = Math.min(start.length, (start.charCodeAt(2) << 8) | start.charCodeAt(3));
  for (let at = 8; at + 4 <= end; at += 4) if (/^avi[fs]$/.test(start.slice(at, at + 4))) return true;
  return false;
}
