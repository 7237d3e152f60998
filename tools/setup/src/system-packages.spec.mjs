// What a person reads when something is missing, and when this Node is too old.
import { describe, expect, it } from 'vitest';
import { ExitCode } from './setup-error.mjs';
import { checkNodeVersion, isDebian, missingPackagesError } from './system-packages.mjs';

describe('checkNodeVersion', () => {
  it.each(['20.19.0', '20.20.2', '22.0.0', '24.11.1'])('takes %s', (version) => {
    expect(() => checkNodeVersion(version)).not.toThrow();
  });

  it.each(['18.20.4', '20.18.3'])('refuses %s', (version) => {
    expect(() => checkNodeVersion(version)).toThrowError(
      expect.objectContaining({ exitCode: ExitCode.missingPackages }),
    );
  });
});

describe('missingPackagesError', () => {
  const missing = [
    { what: 'g++', packages: ['g++'] },
    { what: 'python3 with pip', packages: ['python3', 'python3-pip'] },
  ];

  it('gives one command on Debian', () => {
    const { message, advice } = missingPackagesError(missing, true);
    expect(message).toContain('g++, python3 with pip');
    expect(advice).toContain('sudo apt-get update && sudo apt-get install -y g++ python3 python3-pip');
  });

  it('names the packages elsewhere', () => {
    const { advice } = missingPackagesError(missing, false);
    expect(advice).toContain('g++ python3 python3-pip');
    expect(advice).not.toContain('apt-get');
  });
});

describe('isDebian', () => {
  it.each([
    ['PRETTY_NAME="Debian GNU/Linux 12"\nID=debian\n', true],
    ['NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian\n', true],
    ['ID=linuxmint\nID_LIKE="ubuntu debian"\n', true],
    ['ID=fedora\nHOME_URL="https://example.org/debian"\n', false],
    ['', false],
  ])('%j: %s', (text, expected) => expect(isDebian(text)).toBe(expected));
});
