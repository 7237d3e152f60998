import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { commandLine, resumePretext } from './command-line.js';

describe('a command line to type again', () => {
  it('comes out of a shell as the words it was made of', () => {
    const words = ['plain', './a b', "it's", '$HOME', '*', '', 'a\\b', '~', '"x"', 'ä;b'];
    const read = execFileSync('sh', ['-c', `printf '%s\\0' ${commandLine(words)}`], { encoding: 'utf8' });
    expect(read.split('\0').slice(0, -1)).toEqual(words);
  });

  it('keeps where results are copied to, and quotes only what needs it', () => {
    expect(resumePretext('r1', './my data', 'env.yml')).toBe(
      "kindred pretext --data './my data' --resume r1 --config-env env.yml",
    );
    expect(resumePretext('r1', './kindred-data')).toBe('kindred pretext --data ./kindred-data --resume r1');
  });
});
