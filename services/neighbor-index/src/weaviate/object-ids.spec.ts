import fc from 'fast-check';
import { expect, it } from 'vitest';
import { compareIds, type PointId } from '../engine/points.js';
import { idOfOrder, lowestUuid, numberOfUuid, orderOf, uuidOf } from './object-ids.js';

const number = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 });
const id: fc.Arbitrary<PointId> = fc.oneof(number, text);

it('makes UUIDs of numbers that sort as they do and can be read back', () => {
  fc.assert(
    fc.property(number, number, (a, b) => {
      expect(numberOfUuid(uuidOf(a))).toBe(a);
      expect(uuidOf(a) < uuidOf(b)).toBe(a < b);
      expect(uuidOf(a) > lowestUuid).toBe(true);
      expect(uuidOf(a)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/);
    }),
  );
});

it('makes UUIDs of texts that come after those of numbers, and differ where texts do', () => {
  fc.assert(
    fc.property(number, text, text, (a, b, c) => {
      expect(uuidOf(b) > uuidOf(a)).toBe(true);
      expect(numberOfUuid(uuidOf(b))).toBeNull();
      expect(uuidOf(b) === uuidOf(c)).toBe(b === c);
      expect(uuidOf(b)).toMatch(/^[89a-f][0-9a-f]{7}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    }),
  );
});

it('makes texts of ids that sort as Scroll does, without capitals and blanks', () => {
  fc.assert(
    fc.property(id, id, (a, b) => {
      expect(idOfOrder(orderOf(a))).toEqual(a);
      expect(orderOf(a)).toMatch(/^[0-9a-f]+$/);
      expect(Math.sign(Buffer.compare(Buffer.from(orderOf(a)), Buffer.from(orderOf(b))))).toBe(
        Math.sign(compareIds(a, b)),
      );
    }),
  );
});
