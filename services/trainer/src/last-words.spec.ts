import { expect, it } from 'vitest';
import { createLastWords } from './last-words.js';

it('keeps whole lines up to so many bytes, the last ones', () => {
  const words = createLastWords(12);
  const text = (): string => new TextDecoder().decode(words.end());
  expect(text()).toBe('');
  words.write('one\n');
  words.write('zwölf\n');
  expect(text()).toBe('one\nzwölf\n');
  words.write('3\n');
  expect(text()).toBe('zwölf\n3\n');
  words.write(`${'x'.repeat(20)}\n`);
  expect(text()).toBe('');
});
