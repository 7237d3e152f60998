import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { eventContent, measuredFields } from './index.js';

describe('event content', () => {
  it('leaves out what the contract marks as measured, and nothing else', () => {
    const proto = readFileSync(join(import.meta.dirname, '../../../proto/kindred/training/v1/training.proto'), 'utf8');
    const fields = proto.matchAll(/\/\/ Measured: .*\n(?:\s*\/\/.*\n)*\s*[\w. ]*?(\w+) = \d+;/g);
    const marked = [...fields].map(([, name = '']) =>
      name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()),
    );
    expect([...new Set(marked)].sort()).toEqual([...measuredFields].sort());
  });

  it('keeps numbers and nesting', () => {
    const event = { number: 3n, time: new Date(), kind: { $case: 'stepCompleted', value: { loss: 0.1, seconds: 2 } } };
    expect(eventContent(event)).toEqual({ number: 3n, kind: { $case: 'stepCompleted', value: { loss: 0.1 } } });
  });
});
