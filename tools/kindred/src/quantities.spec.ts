import { describe, expect, it } from 'vitest';
import { formatBytes, formatDuration, formatPercent, formatSize, sparkline } from './quantities.js';

describe('quantities', () => {
  it.each([
    [40, 30, '40×30'],
    [40, 0, 'of several sizes'],
    [0, 40, 'of several sizes'],
  ])('images of height %d and width %d are %s', (height, width, text) => expect(formatSize(height, width)).toBe(text));

  it.each([
    [0, '0.0 s'],
    [9.94, '9.9 s'],
    [9.96, '10 s'],
    [59.4, '59 s'],
    [59.6, '1:00 min'],
    [187, '3:07 min'],
    [3599.7, '1:00:00 h'],
    [7509, '2:05:09 h'],
    [NaN, '–'],
    [-1, '–'],
  ])('%d seconds are %s', (seconds, text) => expect(formatDuration(seconds)).toBe(text));

  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1536, '1.5 KiB'],
    [170_498_071, '162.6 MiB'],
  ])('%d bytes are %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text));

  it('draws a line of blocks from lowest to highest', () => {
    expect(sparkline([0, 50, 100])).toBe('▁▅█');
    expect(sparkline([3, 3])).toBe('▁▁');
    expect(sparkline([])).toBe('');
  });

  it('marks what was not measured', () => expect(formatPercent(undefined)).toBe('–'));
});
