import { describe, expect, it } from 'vitest';
import { compare, table } from './report.js';
import type { Round } from './rounds.js';

const quiet = (...figures: number[]): Round[] => figures.map((figure) => ({ figure, othersCores: 0 }));
const row = compare(
  { id: 'step-w16', suite: 'steps', unit: 'images/s', against: 'eager PyTorch' },
  { ours: quiet(300, 100, 200), theirs: [...quiet(400, 400), { figure: 50, othersCores: 0.4 }] },
  'ours',
  'theirs',
);
const alone = compare(
  { id: 'compile-seconds', suite: 'compile', unit: 's', against: 'nobody' },
  { ours: quiet(2, 1, 2.5) },
  'ours',
  null,
);

describe('compare', () => {
  it('divides the medians, keeps each round, and says which were disturbed', () => {
    expect(row).toMatchObject({ ours: 200, peer: 400, ratio: 0.5, met: false, disturbed: 1 });
    expect(row.rounds).toEqual([
      { ours: 300, peer: 400, disturbed: false },
      { ours: 100, peer: 400, disturbed: false },
      { ours: 200, peer: 50, disturbed: true },
    ]);
  });

  it('holds a row without a peer against its own figure', () => {
    expect(alone).toMatchObject({ ours: 2, peer: null, ratio: null, met: true, disturbed: 0 });
  });

  it('takes less for better where the bar says so', () => {
    const memory = { id: 'memory-w64', suite: 'memory', unit: 'MiB', against: 'PyTorch' };
    expect(compare(memory, { ours: quiet(900), theirs: quiet(1000) }, 'ours', 'theirs').met).toBe(true);
    expect(compare(memory, { ours: quiet(1100), theirs: quiet(1000) }, 'ours', 'theirs').met).toBe(false);
  });
});

describe('table', () => {
  it('aligns numbers to the right and text to the left, and explains what needs it', () => {
    expect(
      table([row, { ...alone, id: 'compile' }, { ...row, id: 'no-bar', ours: 5321.4, bar: null, met: null }]).split(
        '\n',
      ),
    ).toEqual([
      'id         ours   peer  unit      ratio  bar           met  rounds  disturbed  peer is',
      'step-w16  200.0  400.0  images/s   0.50  ratio ≥ 1.05  NO        3          1  eager PyTorch',
      'compile   2.000      -  s             -  ours ≤ 3      yes       3          0  nobody',
      'no-bar     5321  400.0  images/s   0.50  -             -         3          1  eager PyTorch',
      '',
      'A bar with ≤: less is better.',
      '',
      'Other processes were at work in the disturbed rounds: their figures are doubtful, measure again.',
    ]);
  });
});
