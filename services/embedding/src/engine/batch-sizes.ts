// Which batch sizes are compiled, and which of them a number of waiting images makes.

/**
 * The sizes up to `max`: powers of two and the numbers half-way between them (1, 2, 3, 4, 6, 8, 12, 16, …, max), so that filling up costs
 * a quarter at most.
 */
export function batchSizesUpTo(max: number): number[] {
  const sizes = new Set<number>([max]);
  for (let power = 1; power <= max; power *= 2) {
    sizes.add(power);
    const half = power * 1.5;
    if (Number.isInteger(half) && half < max) sizes.add(half);
  }
  return [...sizes].sort((a, b) => a - b);
}

/** A batch: how many images it takes, and the compiled size that they are filled up to. */
export interface BatchChoice {
  readonly count: number;
  readonly size: number;
}

/**
 * The batch for `waiting` images: all of them, filled up to the next size, where fillers are a quarter of the images at most; else as
 * many as fill a size, so that the rest goes into the next batch.
 */
export function batchFor(sizes: readonly number[], waiting: number): BatchChoice {
  const largest = sizes.at(-1) ?? 1;
  if (waiting >= largest) return { count: largest, size: largest };
  const above = sizes.find((size) => size >= waiting) ?? largest;
  if ((above - waiting) * 4 <= waiting) return { count: waiting, size: above };
  const below = sizes.findLast((size) => size <= waiting) ?? 1;
  return { count: below, size: below };
}
