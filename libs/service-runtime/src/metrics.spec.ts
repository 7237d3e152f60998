import { Registry, register } from 'prom-client';
import { afterEach, describe, expect, it } from 'vitest';
import { counter, gauge, histogram } from './metrics.js';

const invalid = expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error;

afterEach(() => register.clear());

describe('metrics', () => {
  it('are served as Prometheus reads them', async () => {
    counter('kindred_test_calls_total', 'Calls.', ['model']).inc({ model: 'cats' }, 2);
    let depth = 3;
    gauge('kindred_test_queue_depth', 'Depth.', [], () => depth);
    histogram('kindred_test_wait_seconds', 'Waits.', [], [0.1, 1]).observe(0.5);
    depth = 4;
    const text = await Registry.merge([register]).metrics();
    expect(text).toContain('kindred_test_calls_total{model="cats"} 2');
    expect(text).toContain('kindred_test_queue_depth 4');
    expect(text).toContain('kindred_test_wait_seconds_bucket{le="0.1"} 0');
    expect(text).toContain('kindred_test_wait_seconds_bucket{le="1"} 1');
  });

  it('declared again are the same, and never another', () => {
    const first = counter('kindred_test_again_total', 'Again.', ['a']);
    expect(counter('kindred_test_again_total', 'Again.', ['a'])).toBe(first);
    expect(() => counter('kindred_test_again_total', 'Again.', ['b'])).toThrow(invalid);
    expect(() => gauge('kindred_test_again_total', 'Again.', ['a'])).toThrow(invalid);
  });

  it.each([
    () => counter('kindred_test_calls', 'No _total.'),
    () => gauge('queue_depth', 'No kindred_.'),
    () => histogram('kindred_Test_seconds', 'A capital.'),
  ])('have names that say where they come from and what they count', (declare) => {
    expect(declare).toThrow(invalid);
  });
});
