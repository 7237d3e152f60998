// Numbers as people read them: durations, sizes, percentages.

/** A duration: `4.2 s`, `3:07 min`, `2:05:09 h`. Anything that is no duration is `–`. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return '–';
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const two = (value: number): string => String(value).padStart(2, '0');
  if (whole < 3600) return `${Math.floor(whole / 60)}:${two(whole % 60)} min`;
  return `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)} h`;
}

/** A number of bytes in binary units: `412 B`, `1.5 KiB`, `162.6 MiB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** A percentage with one decimal: `42.4 %`; `–` for null. */
export function formatPercent(value: number | null | undefined): string {
  return value === null || value === undefined ? '–' : `${value.toFixed(1)} %`;
}

/** A whole number with thousands separated: `12,500`. */
export function formatCount(value: number | bigint): string {
  return value.toLocaleString('en-US');
}

const blocks = '▁▂▃▄▅▆▇█';

/** A curve in one line of block characters, lowest to highest; empty for no values. */
export function sparkline(values: readonly number[]): string {
  const low = Math.min(...values);
  const span = Math.max(...values) - low;
  const level = (value: number): number => (span === 0 ? 0 : Math.round(((value - low) / span) * (blocks.length - 1)));
  return values.map((value) => blocks[level(value)]).join('');
}

/** Height × width in pixels; either is 0 where images differ in it. */
export function formatSize(height: number, width: number): string {
  return height === 0 || width === 0 ? 'of several sizes' : `${height}×${width}`;
}
