// Prometheus metrics that a service declares for itself; `/metrics` serves them beside those of gRPC and of the process.
import { Counter, Gauge, Histogram, register } from 'prom-client';
import { KindredError } from '@kindred/errors';

/** Buckets for times in seconds, from a tenth of a millisecond (a cached answer) to a minute (a dataset's first batch). */
export const secondsBuckets: readonly number[] = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
];

/** Buckets for counts, such as the images of a batch: powers of two up to 4,096. */
export const countBuckets: readonly number[] = Array.from({ length: 13 }, (_, i) => 2 ** i);

/** Declares a counter, whose name ends in `_total`. Declared twice with the same labels, it is the same counter. */
export function counter<L extends string = never>(name: string, help: string, labels: readonly L[] = []): Counter<L> {
  checkName(name, /_total$/, '_total');
  return declared(name, labels, Counter, () => new Counter({ name, help, labelNames: [...labels] }));
}

/**
 * Declares a gauge. `read` is asked at each scrape instead of being set; where several things of a process are declared under
 * one name without labels, the last one is read.
 */
export function gauge<L extends string = never>(
  name: string,
  help: string,
  labels: readonly L[] = [],
  read?: () => number,
): Gauge<L> {
  checkName(name, /[^_]$/, 'no underscore');
  const made = declared(
    name,
    labels,
    Gauge,
    () => new Gauge({ name, help, labelNames: [...labels], collect: readGauge }),
  );
  if (read !== undefined) readers.set(name, read);
  return made;
}

/** Declares a histogram, whose name ends in its unit: `_seconds`, `_bytes`, or what it counts, e.g. `_images`. */
export function histogram<L extends string = never>(
  name: string,
  help: string,
  labels: readonly L[] = [],
  buckets: readonly number[] = secondsBuckets,
): Histogram<L> {
  checkName(name, /_[a-z]+$/, 'a unit, such as _seconds');
  return declared(
    name,
    labels,
    Histogram,
    () => new Histogram({ name, help, labelNames: [...labels], buckets: [...buckets] }),
  );
}

const readers = new Map<string, () => number>();
const labelsOf = new Map<string, string>();

function readGauge(this: Gauge<string>): void {
  const read = readers.get((this as unknown as { readonly name: string }).name);
  if (read !== undefined) this.set(read());
}

function checkName(name: string, end: RegExp, allowed: string): void {
  if (/^kindred_[a-z][a-z0-9_]*$/.test(name) && end.test(name)) return;
  throw new KindredError(
    'INVALID_ARGUMENT',
    `got the metric name '${name}'; allowed: kindred_<service>_<what>, ending in ${allowed}`,
  );
}

function declared<T>(name: string, labels: readonly string[], kind: new (...of: never[]) => T, make: () => T): T {
  const known = register.getSingleMetric(name);
  const key = labels.join(',');
  if (known === undefined) {
    labelsOf.set(name, key);
    return make();
  }
  if (known instanceof kind && labelsOf.get(name) === key) return known as T;
  throw new KindredError(
    'INVALID_ARGUMENT',
    `the metric ${name} is declared already, as another kind or with other labels`,
  );
}
