import { KindredError, errorCodes, type ErrorCode } from '@kindred/errors';
import { describe, expect, it } from 'vitest';
import { exitCodeFor, exitCodeHelp, exitCodes } from './exit-codes.js';

describe('exit codes', () => {
  it.each([
    ['INVALID_ARGUMENT', 2],
    ['NOT_FOUND', 2],
    ['UNAVAILABLE', 3],
    ['DATA_LOSS', 4],
    ['CANCELLED', 130],
    ['INTERNAL', 1],
  ] as const)('%s is %i', (code, expected) => {
    expect(exitCodeFor(new KindredError(code, 'x'))).toBe(expected);
  });

  it('gives every error a code that is not 0 and that --help explains', () => {
    for (const code of Object.keys(errorCodes) as ErrorCode[]) {
      const exitCode = exitCodeFor(new KindredError(code, 'x'));
      expect(exitCode).not.toBe(exitCodes.ok);
      expect(exitCodeHelp).toMatch(new RegExp(`^ +${exitCode} `, 'm'));
    }
    expect(exitCodeFor(new TypeError('x'))).toBe(exitCodes.failed);
  });
});
