import { isKindredError } from '@kindred/errors';
import { describe, expect, it } from 'vitest';
import { newRunId, parseOverrides, parseRunId, parseSeed, parseWhole } from './settings.js';

const fieldOf = (run: () => unknown): string => {
  try {
    run();
  } catch (thrown) {
    if (isKindredError(thrown, 'INVALID_ARGUMENT')) return thrown.violations[0]?.field ?? '';
  }
  return 'nothing was refused';
};

describe('settings', () => {
  it('reads overrides, the last of a key holding', () => {
    expect(parseOverrides(['epochs=1', 'optimizer_kwargs.lr=0.1', 'epochs=2', 'a=b=c'])).toEqual({
      epochs: '2',
      'optimizer_kwargs.lr': '0.1',
      a: 'b=c',
    });
  });

  it.each([
    ['--set', () => parseOverrides(['epochs'])],
    ['--set', () => parseOverrides(['=1'])],
    ['-k', () => parseWhole('-k', '0', 1, 10)],
    ['-k', () => parseWhole('-k', '1.5', 1, 10)],
    ['-k', () => parseWhole('-k', '-1', 0, 10)],
    ['--seed', () => parseSeed('18446744073709551616')],
    ['--seed', () => parseSeed('x')],
    ['--run-id', () => parseRunId('--run-id', 'Big')],
    ['--run-id', () => parseRunId('--run-id', 'a'.repeat(58))],
  ])('refuses a wrong %s', (option, run) => expect(fieldOf(run)).toBe(option));

  it('takes seeds of 64 bits', () => expect(parseSeed('18446744073709551615')).toBe(2n ** 64n - 1n));

  it('makes run ids that are valid and differ', () => {
    const ids = Array.from({ length: 20 }, () => newRunId('cifar-10'));
    for (const id of ids) expect(parseRunId('id', id)).toBe(id);
    expect(new Set(ids).size).toBeGreaterThan(15);
  });
});
