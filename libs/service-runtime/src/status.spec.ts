// Errors as gRPC statuses: what callers get of long ones, and that it fits what their libraries take.
import { KindredError } from '@kindred/errors';
import { BadRequest, type RichServerError } from 'nice-grpc-error-details';
import { describe, expect, it } from 'vitest';
import { statusFromError } from './status.js';

const violations = Array.from({ length: 256 }, (_, i) => ({
  field: `encoded.images[${i}]`,
  description: 'got 1234 bytes that cannot be decoded: the input has an unknown format; allowed: a whole image',
}));

describe('a status', () => {
  it('names as many violations as fit into a trailer, the first ones, and says how many more there are', () => {
    const error = statusFromError(new KindredError('INVALID_ARGUMENT', '256 images cannot be used', { violations }));
    const named = (error as RichServerError).extra.flatMap((detail) =>
      detail.$type === BadRequest.$type ? (detail as BadRequest).fieldViolations : [],
    );
    expect(named.length).toBeGreaterThan(15);
    expect(named).toEqual(
      violations.slice(0, named.length).map((violation) => expect.objectContaining(violation) as object),
    );
    expect(error.details).toContain(`${256 - named.length} more`);
    // The C core takes 8 KiB of trailers together; details travel in base64.
    const bytes = named.reduce((sum, { field, description }) => sum + field.length + description.length + 8, 0);
    expect((bytes + error.details.length) * (4 / 3) + error.details.length).toBeLessThan(8 * 1024 - 1024);
  });

  it('shortens texts without end, and keeps those that fit', () => {
    const long = statusFromError(new KindredError('INVALID_ARGUMENT', 'x'.repeat(20_000)));
    expect(long.details.length).toBeLessThanOrEqual(1024);
    expect(statusFromError(new KindredError('NOT_FOUND', 'no such thing')).details).toBe('no such thing');
  });
});
