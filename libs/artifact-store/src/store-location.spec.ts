import { describe, expect, it } from 'vitest';
import { parseStoreLocation } from './store-location.js';

function refusal(name: string, environment: Record<string, string> = {}): { code?: unknown; message: string } {
  try {
    parseStoreLocation(name, environment);
  } catch (thrown) {
    return thrown as { code?: unknown; message: string };
  }
  return { message: 'nothing was thrown' };
}

describe("a store's address", () => {
  it.each([
    ['with credentials', 's3://KEY:top-secret@artifacts', {}],
    // A slash ends the host: what stands behind the colon is then a port that is no number.
    ['with credentials that cannot be read', 's3://KEY:top-secret/x@artifacts', {}],
    ['with credentials in its endpoint', 's3://artifacts?endpoint=http://KEY:top-secret@127.0.0.1:9000', {}],
    ['with an endpoint that cannot be read', 's3://artifacts?endpoint=http://KEY:top-secret/x@127.0.0.1:9000', {}],
    ['with an endpoint of another scheme', 's3://artifacts?endpoint=ftp://KEY:top-secret@127.0.0.1', {}],
    [
      'with credentials in the endpoint of the environment',
      's3://artifacts',
      { AWS_ENDPOINT_URL: 'http://KEY:top-secret@h' },
    ],
    [
      'with an environment’s endpoint that cannot be read',
      's3://artifacts',
      { AWS_ENDPOINT_URL: 'http://K:top-secret/x@h' },
    ],
  ])('%s is refused without showing them', (_, name, environment) => {
    const { code, message } = refusal(name, environment);
    expect(code).toBe('INVALID_ARGUMENT');
    expect(message).toContain('allowed: ');
    expect(message).not.toMatch(/top-secret|KEY:/);
  });

  it('takes an endpoint from the address before the environment’s', () => {
    const environment = { AWS_ENDPOINT_URL: 'https://other:1' };
    expect(parseStoreLocation('s3://artifacts?endpoint=http://127.0.0.1:9000', environment)).toMatchObject({
      endpoint: new URL('http://127.0.0.1:9000'),
      pathStyle: true,
    });
    expect(parseStoreLocation('s3://artifacts', environment)).toMatchObject({ endpoint: new URL('https://other:1') });
    expect(parseStoreLocation('s3://artifacts', {})).toMatchObject({ pathStyle: false });
  });
});
