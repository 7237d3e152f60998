import { describe, expect, it } from 'vitest';
import { compare, table } from './report.js';

const row = compare(
  { id: 'step-w16', suite: 'training', unit: 'images/s', against: 'eager PyTorch' },
  { ours: [300, 100, 200], theirs: [400, 400, 50] },
  'ours',
  'theirs',
);

describe('compare', () => {
  it('divides the medians and keeps each round', () => {
    expect(row).toMatchObject({ ours: 200, peer: 400, ratio: 0.5 });
    expect(row.rounds).toEqual([
      { ours: 300, peer: 400 },
      { ours: 100, peer: 400 },
      { ours: 200, peer: 50 },
    ]);
  });
});

describe('table', () => {
  it('aligns numbers to the right and text to the left', () => {
    expect(table([row, { ...row, id: 'augment', ours: 5321.4, unit: 'views/s' }]).split('\n')).toEqual([
      'id         ours   peer  unit      ratio  rounds  peer is',
      'step-w16  200.0  400.0  images/s   0.50       3  eager PyTorch',
      'augment    5321  400.0  views/s    0.50       3  eager PyTorch',
    ]);
  });
});
