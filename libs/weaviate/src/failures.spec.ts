// What Weaviate v1.35 and its client 3.12 say, and what it means for a caller.
import { KindredError } from '@kindred/errors';
import { expect, it } from 'vitest';
import { fromWeaviate, isSilent } from './failures.js';

const query = (text: string): Error => new Error(`Query call with protocol gRPC failed with message: ${text}`);
const http = (code: number, message: string): Error =>
  Object.assign(new Error(`The request to Weaviate failed with status code: ${code} and message: ${message}`), {
    code,
  });

it.each([
  [
    query('/weaviate.v1.Weaviate/Search UNAVAILABLE: No connection established. Last error: connect ECONNREFUSED'),
    'UNAVAILABLE',
    true,
  ],
  [
    new TypeError('fetch failed', { cause: Object.assign(new Error(''), { code: 'ECONNREFUSED' }) }),
    'UNAVAILABLE',
    true,
  ],
  [query('timed out after 60ms'), 'UNAVAILABLE', true],
  [
    query('/weaviate.v1.Weaviate/Search UNKNOWN: cannot achieve consistency level ALL: connection refused'),
    'UNAVAILABLE',
    false,
  ],
  [query('/weaviate.v1.Weaviate/BatchObjects UNKNOWN: broadcast: cannot reach enough replicas'), 'UNAVAILABLE', false],
  [http(500, 'leader not found'), 'UNAVAILABLE', false],
  [http(503, ''), 'UNAVAILABLE', false],
  [query('/weaviate.v1.Weaviate/BatchObjects UNKNOWN: store is read-only'), 'RESOURCE_EXHAUSTED', false],
  [
    query('/weaviate.v1.Weaviate/BatchObjects RESOURCE_EXHAUSTED: received message larger than max'),
    'RESOURCE_EXHAUSTED',
    false,
  ],
  [query('/weaviate.v1.Weaviate/Search UNKNOWN: could not find class Kindred_a in schema'), 'NOT_FOUND', false],
  [http(404, 'not here'), 'NOT_FOUND', false],
  [
    Object.assign(new Error('Unauthenticated: anonymous access not enabled'), { name: 'WeaviateUnauthenticatedError' }),
    'FAILED_PRECONDITION',
    false,
  ],
  [http(403, 'forbidden'), 'FAILED_PRECONDITION', false],
  [http(422, 'invalid'), 'INTERNAL', false],
  [query('/weaviate.v1.Weaviate/Search UNKNOWN: something else'), 'INTERNAL', false],
])('gives %s the code %s', (thrown, code, silent) => {
  const error = fromWeaviate(thrown, '10.0.0.1:8080', 'Kindred_a');
  expect(error.code).toBe(code);
  expect(isSilent(error)).toBe(silent);
  if (code === 'UNAVAILABLE' && !silent) expect(error.retryAfterMs).toBeGreaterThan(0);
});

it('leaves errors of the house as they are', () => {
  const error = new KindredError('ABORTED', 'as it is');
  expect(fromWeaviate(error, 'a')).toBe(error);
});
