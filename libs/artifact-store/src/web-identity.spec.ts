// Web identities: against a token service that is played here by AWS's documents, and against MinIO's own with a real token.
import { createSign, generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { goProgram, startS3Server, temporaryFolder } from '@kindred/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { openStore } from './index.js';

const minio = await goProgram('minio');
const minuteMs = 60_000;
const servers: Server[] = [];
afterEach(() => {
  vi.useRealTimers();
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function listen(answer: (request: IncomingMessage, body: string) => [number, string]): Promise<string> {
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      const [status, reply] = answer(request, body);
      response.writeHead(status, { etag: '"e"' }).end(reply);
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** The reply of AssumeRoleWithWebIdentity as the STS API reference has it. */
const session = (key: string, endsInMs: number): string => `
<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleWithWebIdentityResult>
    <SubjectFromWebIdentityToken>system:serviceaccount:kindred:trainer</SubjectFromWebIdentityToken>
    <AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/kindred/kindred</Arn></AssumedRoleUser>
    <Credentials>
      <SessionToken>session/of+${key}==</SessionToken>
      <SecretAccessKey>secret-of-${key}</SecretAccessKey>
      <Expiration>${new Date(Date.now() + endsInMs).toISOString()}</Expiration>
      <AccessKeyId>${key}</AccessKeyId>
    </Credentials>
  </AssumeRoleWithWebIdentityResult>
</AssumeRoleWithWebIdentityResponse>`;

const refusal = (code: string): string =>
  `<ErrorResponse><Error><Type>Sender</Type><Code>${code}</Code><Message>no</Message></Error></ErrorResponse>`;

describe('a web identity', () => {
  const folder = temporaryFolder('web-identity');
  const tokenFile = join(folder, 'token');
  const role = 'arn:aws:iam::123456789012:role/kindred';

  /** Opens a store whose token service answers by `sts`, and whose S3 server says yes to the keys that `allows` does. */
  const open = async (
    sts: (number: number, token: string | null) => [number, string],
    allows: (key: string) => boolean = () => true,
  ) => {
    const asked: URLSearchParams[] = [];
    const signed: { key: string; token: unknown; headers: string }[] = [];
    const stsEndpoint = await listen(({ method, headers }, body) => {
      expect([method, headers['content-type']]).toEqual(['POST', 'application/x-www-form-urlencoded']);
      const form = new URLSearchParams(body);
      return sts(asked.push(form), form.get('WebIdentityToken'));
    });
    const endpoint = await listen(({ headers }) => {
      const [, key = '', names = ''] =
        /Credential=([^/]+)\/.*SignedHeaders=([^,]+)/.exec(headers.authorization ?? '') ?? [];
      signed.push({ key, token: headers['x-amz-security-token'], headers: names });
      if (!allows(key)) return [403, '<Error><Code>ExpiredToken</Code><Message>expired</Message></Error>'];
      return [200, '<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>'];
    });
    const environment = {
      AWS_WEB_IDENTITY_TOKEN_FILE: tokenFile,
      AWS_ROLE_ARN: role,
      AWS_ENDPOINT_URL_STS: stsEndpoint,
    };
    const opening = openStore(`s3://artifacts?endpoint=${endpoint}`, { environment, patienceMs: 5_000 });
    return { opening, asked, signed };
  };

  it('is exchanged for a session, which signs each call with its token, once for all of them', async () => {
    writeFileSync(tokenFile, 'first-token\n');
    const { opening, asked, signed } = await open(() => [200, session('KEY1', 60 * minuteMs)]);
    const store = await opening;
    await Promise.all(Array.from({ length: 8 }, (_, i) => store.get(`k${i}`)));
    expect(asked.map((form) => Object.fromEntries(form))).toEqual([
      {
        Action: 'AssumeRoleWithWebIdentity',
        Version: '2011-06-15',
        RoleArn: role,
        RoleSessionName: 'kindred',
        WebIdentityToken: 'first-token',
      },
    ]);
    expect(signed).toHaveLength(9);
    for (const { key, token, headers } of signed) {
      expect([key, token]).toEqual(['KEY1', 'session/of+KEY1==']);
      expect(headers.split(';')).toContain('x-amz-security-token');
    }
  });

  it('is exchanged anew before its session ends, by the token that the file holds then', async () => {
    writeFileSync(tokenFile, 'first-token');
    const { opening, asked, signed } = await open((n) => [200, session(`KEY${n}`, 15 * minuteMs)]);
    const store = await opening;
    // As Kubernetes does in time.
    writeFileSync(tokenFile, 'second-token');
    await store.get('a');
    expect(asked).toHaveLength(1);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 13.5 * minuteMs });
    await Promise.all([store.get('b'), store.get('c')]);
    expect(asked.map((form) => form.get('WebIdentityToken'))).toEqual(['first-token', 'second-token']);
    expect(signed.map(({ key }) => key)).toEqual(['KEY1', 'KEY1', 'KEY2', 'KEY2']);
  });

  it('is exchanged anew when the server says that its session has expired, and once only', async () => {
    writeFileSync(tokenFile, 'first-token');
    let over = new Set<string>();
    const { opening, asked } = await open(
      (n) => [200, session(`KEY${n}`, 60 * minuteMs)],
      (key) => !over.has(key),
    );
    const store = await opening;
    over = new Set(['KEY1']);
    await store.get('a');
    expect(asked).toHaveLength(2);
    over = new Set(['KEY1', 'KEY2', 'KEY3']);
    await expect(store.get('a')).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
      message: expect.stringContaining('the session token has expired') as string,
    });
    expect(asked).toHaveLength(3);
  });

  it('that is refused is an error with the reason, and without the token', async () => {
    writeFileSync(tokenFile, 'top-secret');
    const { opening } = await open(() => [400, refusal('InvalidIdentityToken')]);
    const thrown = await opening.then(
      () => null,
      (error: Error) => error,
    );
    expect(thrown).toMatchObject({ code: 'PERMISSION_DENIED', resource: { type: 'bucket', name: 'artifacts' } });
    expect(thrown?.message).toMatch(/by the token in .*token: HTTP 400 InvalidIdentityToken; check/);
    expect(thrown?.message).not.toContain('top-secret');
  });

  it('goes over a token service that is ill for a while', async () => {
    writeFileSync(tokenFile, 'first-token');
    const { opening, asked } = await open((n) => (n < 3 ? [503, ''] : [200, session('KEY1', 60 * minuteMs)]));
    await opening;
    expect(asked).toHaveLength(3);
  });

  it('without a file for its token is an error that names it', async () => {
    const environment = { AWS_WEB_IDENTITY_TOKEN_FILE: join(folder, 'none'), AWS_ROLE_ARN: role };
    await expect(openStore('s3://artifacts?endpoint=http://127.0.0.1:1', { environment })).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining(join(folder, 'none')) as string,
    });
  });

  it.skipIf(minio === null)(
    'opens a MinIO that trusts who has signed its token, and no other',
    { timeout: 120_000 },
    async () => {
      const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
      const other = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
      let issuer = '';
      issuer = await listen(({ url }) => {
        const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'k', alg: 'RS256', use: 'sig' };
        if (url === '/keys') return [200, JSON.stringify({ keys: [jwk] })];
        return [
          200,
          JSON.stringify({
            issuer,
            jwks_uri: `${issuer}/keys`,
            authorization_endpoint: `${issuer}/authorize`,
            token_endpoint: `${issuer}/token`,
            userinfo_endpoint: `${issuer}/user`,
          }),
        ];
      });
      const tokenBy = (key: typeof privateKey): string => {
        const now = Math.floor(Date.now() / 1000);
        const claims = { iss: issuer, aud: 'kindred', sub: 'trainer', iat: now, exp: now + 3600, policy: 'readwrite' };
        const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
        const signed = `${encode({ alg: 'RS256', typ: 'JWT', kid: 'k' })}.${encode(claims)}`;
        return `${signed}.${createSign('RSA-SHA256').update(signed).sign(key).toString('base64url')}`;
      };
      const server = await startS3Server({
        kind: 'minio',
        program: minio ?? '',
        folder: join(folder, 'data'),
        environment: {
          MINIO_IDENTITY_OPENID_CONFIG_URL: `${issuer}/.well-known/openid-configuration`,
          MINIO_IDENTITY_OPENID_CLIENT_ID: 'kindred',
          MINIO_IDENTITY_OPENID_CLIENT_SECRET: 'unused',
          MINIO_IDENTITY_OPENID_CLAIM_NAME: 'policy',
        },
      });
      try {
        server.makeBucket('artifacts');
        const environment = { AWS_WEB_IDENTITY_TOKEN_FILE: tokenFile };
        const address = `s3://artifacts?endpoint=${server.endpoint}&part-mib=5`;
        writeFileSync(tokenFile, tokenBy(privateKey));
        // MinIO answers before it has fetched the issuer's keys; until then it knows no token.
        const store = await vi.waitFor(() => openStore(address, { environment }), { timeout: 60_000, interval: 200 });
        const { sha256 } = await store.put('k', [new Uint8Array(11_000_000).fill(1)]);
        expect((await store.get('k', sha256)).length).toBe(11_000_000);
        writeFileSync(tokenFile, tokenBy(other));
        await expect(openStore(address, { environment })).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
      } finally {
        await server.stop('SIGKILL');
      }
    },
  );
});
