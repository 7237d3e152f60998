// The kNN accuracy by epoch as a small SVG.

const width = 480;
const height = 240;
const left = 44;
const bottom = 32;
const top = 16;
const right = 12;

/** Draws the curve of `accuracies` in percent; the first is that of the untrained network. */
export function knnCurve(accuracies: readonly number[]): string {
  const highest = Math.max(10, Math.ceil(Math.max(...accuracies) / 10) * 10);
  const x = (epoch: number): number => left + (epoch / Math.max(1, accuracies.length - 1)) * (width - left - right);
  const y = (percent: number): number => height - bottom - (percent / highest) * (height - bottom - top);
  const ticks = Array.from({ length: highest / 10 + 1 }, (_, i) => i * 10).filter(
    (tick) => highest <= 50 || tick % 20 === 0,
  );
  const points = accuracies.map((value, epoch) => `${x(epoch).toFixed(1)},${y(value).toFixed(1)}`);
  const epochs = accuracies.map((_, epoch) => epoch).filter((epoch) => epoch % Math.ceil(accuracies.length / 12) === 0);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="11" fill="#57606a">`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    ...ticks.map(
      (tick) =>
        `<line x1="${left}" x2="${width - right}" y1="${y(tick)}" y2="${y(tick)}" stroke="#d0d7de"/>` +
        `<text x="${left - 6}" y="${y(tick) + 4}" text-anchor="end">${tick} %</text>`,
    ),
    ...epochs.map((epoch) => `<text x="${x(epoch)}" y="${height - bottom + 16}" text-anchor="middle">${epoch}</text>`),
    `<text x="${(left + width) / 2}" y="${height - 4}" text-anchor="middle">epochs trained; kNN top-1</text>`,
    `<polyline fill="none" stroke="#0969da" stroke-width="2" points="${points.join(' ')}"/>`,
    ...points.map((point) => `<circle cx="${point.split(',')[0]}" cy="${point.split(',')[1]}" r="3" fill="#0969da"/>`),
    '</svg>',
    '',
  ].join('\n');
}
