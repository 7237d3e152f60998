// Value kinds of the experiment's keys. Each knows how to say what is allowed.
import { z } from 'zod';

/** A number within bounds; `above` excludes its bound. */
export function number(bounds: { min?: number; max?: number; above?: number; below?: number }): z.ZodType<number> {
  const { min, max, above, below } = bounds;
  const holds = (value: unknown): boolean =>
    typeof value === 'number' &&
    Number.isFinite(value) &&
    (min === undefined || value >= min) &&
    (max === undefined || value <= max) &&
    (above === undefined || value > above) &&
    (below === undefined || value < below);
  const parts = [
    min === undefined ? '' : `from ${min}`,
    above === undefined ? '' : `above ${above}`,
    max === undefined ? '' : `to ${max}`,
    below === undefined ? '' : `below ${below}`,
  ].filter((part) => part !== '');
  return checked<number>(holds, `a number ${parts.join(' ')}`);
}

/** A whole number within bounds. */
export function whole(min: number, max: number): z.ZodType<number> {
  const holds = (value: unknown): boolean =>
    Number.isSafeInteger(value) && Number(value) >= min && Number(value) <= max;
  return checked<number>(holds, `a whole number from ${min} to ${max}`);
}

/** true or false. */
export function flag(): z.ZodType<boolean> {
  return checked<boolean>((value) => typeof value === 'boolean', 'true or false');
}

/** One of a few words. */
export function word<T extends string>(...allowed: readonly T[]): z.ZodType<T> {
  return checked<T>((value) => allowed.includes(value as T), allowed.map((name) => `'${name}'`).join(', '));
}

/** One of a few words, or a text of a form that `allowed` describes. */
export function wordOr<T extends string, F extends string>(
  words: readonly T[],
  isForm: (value: string) => value is F,
  allowed: string,
): z.ZodType<T | F> {
  const holds = (value: unknown): boolean => words.includes(value as T) || (typeof value === 'string' && isForm(value));
  return checked<T | F>(holds, [...words.map((name) => `'${name}'`), allowed].join(', '));
}

/** A list of numbers of a given length (or any length when `length` is null). */
export function numbers(length: number | null, each: (value: number) => boolean, allowed: string): z.ZodType<number[]> {
  const holds = (value: unknown): boolean =>
    Array.isArray(value) &&
    (length === null || value.length === length) &&
    value.every((item) => typeof item === 'number' && Number.isFinite(item) && each(item));
  return checked<number[]>(holds, allowed);
}

/** Text that is not empty; `allowed` says what it is. */
export function text(allowed: string): z.ZodType<string> {
  return checked<string>((value) => typeof value === 'string' && value !== '', allowed);
}

function checked<T>(holds: (value: unknown) => boolean, allowed: string): z.ZodType<T> {
  return z.custom<T>(holds, {
    error: ({ input }) =>
      input === undefined ? `missing; allowed: ${allowed}` : `got ${show(input)}; allowed: ${allowed}`,
  });
}

/** A value for an error's text, at most 80 characters of it. */
export function show(value: unknown): string {
  return shortened(JSON.stringify(value) ?? String(value));
}

/** At most 80 characters of `text`. */
export function shortened(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
