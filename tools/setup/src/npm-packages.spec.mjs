// When the installed packages are what the lock file asks for.
import { describe, expect, it } from 'vitest';
import { sameInstallation } from './npm-packages.mjs';

describe('sameInstallation', () => {
  const zod = { version: '4.6.7', integrity: 'sha512-a' };
  const link = { resolved: 'libs/errors', link: true };
  const locked = {
    '': {},
    'libs/errors': { version: '0.1.0' },
    'node_modules/@kindred/errors': link,
    'node_modules/zod': zod,
    'node_modules/built-for-another-system': { version: '1.0.0', optional: true },
  };
  const installed = {
    'libs/errors': { version: '0.1.0' },
    'node_modules/@kindred/errors': link,
    'node_modules/zod': zod,
  };

  it('holds with optional packages absent', () => expect(sameInstallation(locked, installed)).toBe(true));

  it.each([
    ['a package is missing', { ...installed, 'node_modules/zod': undefined }],
    ['a version differs', { ...installed, 'node_modules/zod': { ...zod, version: '4.6.6' } }],
    ['a content differs', { ...installed, 'node_modules/zod': { ...zod, integrity: 'sha512-b' } }],
    ['a link leads elsewhere', { ...installed, 'node_modules/@kindred/errors': { ...link, resolved: 'libs/other' } }],
    ['one is too many', { ...installed, 'node_modules/left-over': zod }],
  ])('does not hold when %s', (_, other) => {
    const there = Object.fromEntries(Object.entries(other).filter(([, value]) => value !== undefined));
    expect(sameInstallation(locked, /** @type {any} */ (there))).toBe(false);
  });
});
