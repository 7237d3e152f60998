// A JPEG that compresses as photographs do: smooth shapes with some noise, drawn by formula.
import sharp from 'sharp';

/** A square JPEG of quality 85. */
export async function jpegImage(side: number): Promise<Uint8Array> {
  const pixels = Buffer.alloc(side * side * 3);
  for (let i = 0; i < side * side; i++) {
    const [x, y] = [i % side, Math.floor(i / side)];
    const noise = ((Math.imul(i, 2654435761) >>> 12) & 31) - 16;
    const shade = 128 + 70 * Math.sin(x / 13) * Math.cos(y / 17) + noise;
    pixels.set(
      [shade, 255 - shade, (x + y) / 2].map((value) => Math.min(255, Math.max(0, Math.round(value)))),
      i * 3,
    );
  }
  return sharp(pixels, { raw: { width: side, height: side, channels: 3 } })
    .jpeg({ quality: 85 })
    .toBuffer();
}
