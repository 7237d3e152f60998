// Keys for a web identity: the token that Kubernetes mounts, exchanged at a security token service (STS).
import { readFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import https from 'node:https';
import http from 'node:http';
import { text } from 'node:stream/consumers';
import { KindredError } from '@kindred/errors';
import { XMLParser } from 'fast-xml-parser';
import type { SessionKeys } from './s3-credentials.js';
import type { S3Location } from './store-location.js';

/** Whose identity. */
export interface WebIdentity {
  /** The file is read anew for each session: Kubernetes renews it. */
  readonly tokenFile: string;
  /** Null where the server finds the rights in the token itself (MinIO). */
  readonly roleArn: string | null;
  /** Null: Amazon's in the region of Amazon's stores, else the store's own server (MinIO). */
  readonly stsEndpoint: string | null;
}

const idleMs = 15_000;
const sessionName = 'kindred';

/**
 * Begins a session (AssumeRoleWithWebIdentity, STS API 2011-06-15).
 * @throws KindredError PERMISSION_DENIED when the token is refused, UNAVAILABLE when the service does not answer,
 * FAILED_PRECONDITION when the token cannot be read. None holds the token.
 */
export async function assumeRoleWithWebIdentity(location: S3Location, identity: WebIdentity): Promise<SessionKeys> {
  const { tokenFile, roleArn } = identity;
  const endpoint = stsUrl(location, identity.stsEndpoint);
  const fail = (code: KindredError['code'], what: string, retryAfterMs?: number): KindredError =>
    new KindredError(
      code,
      `no session for bucket '${location.bucket}' from ${endpoint.origin} by the token in ${tokenFile}: ${what}`,
      { resource: { type: 'bucket', name: location.bucket }, retryAfterMs },
    );
  const token = await readFile(tokenFile, 'utf8').catch((thrown: Error) => {
    throw fail('FAILED_PRECONDITION', `${thrown.message}; name a file that can be read in AWS_WEB_IDENTITY_TOKEN_FILE`);
  });
  const form = new URLSearchParams({
    Action: 'AssumeRoleWithWebIdentity',
    Version: '2011-06-15',
    RoleSessionName: sessionName,
    WebIdentityToken: token.trim(),
    ...(roleArn === null ? {} : { RoleArn: roleArn }),
  });
  const { status, body } = await post(endpoint, form.toString(), location.caFile).catch((thrown: Error) => {
    throw fail('UNAVAILABLE', thrown.message, 0);
  });
  const reply = new XMLParser({ parseTagValue: false }).parse(body) as StsReply;
  if (status >= 500) throw fail('UNAVAILABLE', `HTTP ${status}`, 0);
  const keys = reply.AssumeRoleWithWebIdentityResponse?.AssumeRoleWithWebIdentityResult?.Credentials;
  if (status === 200 && keys !== undefined) {
    return {
      accessKey: keys.AccessKeyId,
      secretKey: keys.SecretAccessKey,
      sessionToken: keys.SessionToken,
      expiration: new Date(keys.Expiration),
    };
  }
  const code = reply.ErrorResponse?.Error?.Code ?? 'no reason given';
  throw fail('PERMISSION_DENIED', `HTTP ${status} ${code}; check the token, AWS_ROLE_ARN and what the role trusts`);
}

interface StsReply {
  readonly AssumeRoleWithWebIdentityResponse?: {
    readonly AssumeRoleWithWebIdentityResult?: {
      readonly Credentials?: {
        readonly AccessKeyId: string;
        readonly SecretAccessKey: string;
        readonly SessionToken: string;
        readonly Expiration: string;
      };
    };
  };
  readonly ErrorResponse?: { readonly Error?: { readonly Code?: string } };
}

function stsUrl({ endpoint, region }: S3Location, named: string | null): URL {
  if (named !== null) return new URL(named);
  const amazon = /\.amazonaws\.com(\.cn)?$/.exec(endpoint.hostname)?.[0];
  if (amazon !== undefined) return new URL(`https://sts.${region}${amazon}`);
  return endpoint;
}

function post(url: URL, body: string, caFile: string | null): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/x-www-form-urlencoded', 'content-length': Buffer.byteLength(body) };
    const ca = caFile === null ? undefined : readFileSync(caFile);
    const options = { method: 'POST', headers, ca, signal: AbortSignal.timeout(4 * idleMs) };
    const sent = (url.protocol === 'https:' ? https : http).request(url, options, (response) => {
      text(response).then((reply) => resolve({ status: response.statusCode ?? 0, body: reply }), reject);
    });
    sent.setTimeout(idleMs, () => sent.destroy(new Error(`no progress for ${idleMs / 1000} s`)));
    sent.once('error', reject);
    sent.end(body);
  });
}
