import { describe, expect, it } from 'vitest';
import { createVectorCache, vectorKeys } from './vector-cache.js';

const vector = (value: number): Float32Array => new Float32Array(25).fill(value);

describe('vector cache', () => {
  it('keeps what was used last, within its bytes', () => {
    // An entry of 25 numbers counts 400 bytes: three fit.
    const cache = createVectorCache(1200);
    for (const key of ['a', 'b', 'c']) cache.put(key, vector(key.charCodeAt(0)));
    expect(cache.get('a')?.[0]).toBe(97);
    cache.put('d', vector(1));
    expect(cache.get('b')).toBeNull();
    expect(['a', 'c', 'd'].map((key) => cache.get(key) !== null)).toEqual([true, true, true]);
    expect(cache.bytes()).toBe(1200);
    cache.put('a', vector(2));
    expect([cache.bytes(), cache.get('a')?.[0]]).toEqual([1200, 2]);
  });

  it('holds copies, nothing larger than itself, and nothing at all at 0', () => {
    const cache = createVectorCache(500);
    const own = vector(1);
    cache.put('a', own);
    own.fill(9);
    expect(cache.get('a')?.[0]).toBe(1);
    cache.put('large', new Float32Array(1000));
    expect(cache.get('large')).toBeNull();
    const none = createVectorCache(0);
    none.put('a', own);
    expect([none.enabled, none.bytes(), none.get('a')]).toEqual([false, 0, null]);
  });

  it('knows images by all that makes their vector', () => {
    const image = Uint8Array.of(1, 2, 3);
    const keys = [
      ...vectorKeys('m', ['embedding', 'backbone'], 'encoded', image),
      ...vectorKeys('n', ['embedding'], 'encoded', image),
      ...vectorKeys('m', ['embedding'], '1×1', image),
      ...vectorKeys('m', ['embedding'], 'encoded', Uint8Array.of(1, 2, 4)),
    ];
    expect(keys).toHaveLength(5);
    expect(new Set(keys).size).toBe(keys.length);
    expect(vectorKeys('m', ['embedding'], 'encoded', image.slice())).toEqual([keys[0]]);
  });
});
