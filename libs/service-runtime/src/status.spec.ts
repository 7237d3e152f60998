// Errors as gRPC statuses: what callers get of long ones, and that it fits what their libraries take.
import { KindredError } from '@kindred/errors';
import { ServerError, Status as Code } from 'nice-grpc-common';
import { Any, BadRequest, ResourceInfo, type RichServerError } from 'nice-grpc-error-details';
import { Status } from 'nice-grpc-error-details/lib/proto/google/rpc/status.js';
import { describe, expect, it } from 'vitest';
import { statusFromError } from './status.js';

const { NOT_FOUND } = Code;

/** A detail as it travels. */
function packed(detail: RichServerError['extra'][number]): Any {
  const value =
    detail.$type === BadRequest.$type
      ? BadRequest.encode(detail as BadRequest).finish()
      : ResourceInfo.encode(detail as ResourceInfo).finish();
  return Any.fromPartial({ typeUrl: `type.googleapis.com/${detail.$type}`, value });
}

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

  it.each(['x', 'é', '猫', '😀', ' ', '\uD83D', '\uDE00'])(
    'can be sent, and fits a trailer, however long names of %j are that a caller makes up',
    (character) => {
      for (const before of ['', 'x', 'xx', 'xxx']) {
        const name = before + character.repeat(20_000);
        const field = { field: 'model', description: `got ${name}` };
        const error = new KindredError('NOT_FOUND', `model '${name}' does not exist`, {
          violations: [field, field, field, field, field, field, field, field],
          resource: { type: 'model', name },
        });
        const { code, details, extra } = statusFromError(error) as RichServerError;
        // As grpc-js writes it: half of a surrogate pair throws here, where nothing catches.
        const text = encodeURI(details).length;
        const texts = JSON.stringify(extra);
        expect(texts).not.toMatch(/\\ud[89a-f]/);
        const status = { code, message: details, details: extra.map((value) => packed(value)) };
        const bytes = Status.encode(Status.fromPartial(status)).finish().length;
        expect(text + Math.ceil(bytes / 3) * 4).toBeLessThan(8 * 1024 - 256);
        expect(Buffer.byteLength(details)).toBeGreaterThan(150);
      }
    },
  );

  it('of a handler itself is cut alike', () => {
    const { code, details } = statusFromError(new ServerError(NOT_FOUND, 'x' + '😀'.repeat(5000)));
    expect(code).toBe(NOT_FOUND);
    expect(encodeURI(details).length).toBeLessThanOrEqual(1536);
  });
});
