// Credentials for S3: from the environment, from AWS's file, or for a web identity as Kubernetes gives it.
import { readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { KindredError } from '@kindred/errors';
import { parse } from 'ini';
import type { S3Location } from './store-location.js';
import { assumeRoleWithWebIdentity } from './web-identity.js';

/** Where credentials come from. */
export interface S3Credentials {
  /** The keys to sign with now; asked before each call. */
  current(): Promise<SessionKeys>;
  /** Forgets a session, since the server refuses it; false when there is none to renew. */
  renew(): boolean;
}

/** Keys of one moment. */
export interface SessionKeys {
  readonly accessKey: string;
  readonly secretKey: string;
  readonly sessionToken?: string;
  /** When they end; absent: never. */
  readonly expiration?: Date;
}

/** A session is renewed this long before its end, so that no call is under way when it comes. */
const renewBeforeMs = 120_000;

/**
 * Finds the credentials: the file that the address names; `AWS_ACCESS_KEY_ID` with `AWS_SECRET_ACCESS_KEY` (and `AWS_SESSION_TOKEN`); the file
 * `AWS_SHARED_CREDENTIALS_FILE`, read again whenever it changes; the token in `AWS_WEB_IDENTITY_TOKEN_FILE` for the role
 * `AWS_ROLE_ARN`, exchanged at `AWS_ENDPOINT_URL_STS` (default: Amazon's in the region, else the store's own server);
 * `~/.aws/credentials`. `AWS_PROFILE` picks the section of a file.
 * @throws KindredError FAILED_PRECONDITION when there are none, at once or when a file has none at the time of a call.
 */
export function findCredentials(
  location: S3Location,
  environment: Readonly<Record<string, string | undefined>>,
): S3Credentials {
  const profile = environment['AWS_PROFILE'] || 'default';
  if (location.credentialsFile !== null) return fixedSource(fileReader(location, location.credentialsFile, profile));
  const accessKey = environment['AWS_ACCESS_KEY_ID'] ?? '';
  const secretKey = environment['AWS_SECRET_ACCESS_KEY'] ?? '';
  if (accessKey !== '' && secretKey !== '') {
    const sessionToken = environment['AWS_SESSION_TOKEN'] || undefined;
    return fixedSource(() => ({ accessKey, secretKey, sessionToken }));
  }
  if (accessKey !== '' || secretKey !== '') {
    throw noCredentials(location, 'only one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is set');
  }
  const named = environment['AWS_SHARED_CREDENTIALS_FILE'] ?? '';
  if (named !== '') return fixedSource(fileReader(location, named, profile));
  const tokenFile = environment['AWS_WEB_IDENTITY_TOKEN_FILE'] ?? '';
  if (tokenFile !== '') {
    const stsEndpoint = environment['AWS_ENDPOINT_URL_STS'] || null;
    const roleArn = environment['AWS_ROLE_ARN'] || null;
    return sessionSource(() => assumeRoleWithWebIdentity(location, { tokenFile, roleArn, stsEndpoint }));
  }
  const usual = join(homedir(), '.aws', 'credentials');
  if (statSync(usual, { throwIfNoEntry: false }) === undefined) throw noCredentials(location, 'none are set');
  return fixedSource(fileReader(location, usual, profile));
}

function fixedSource(current: () => SessionKeys): S3Credentials {
  return { current: async () => current(), renew: () => false };
}

function sessionSource(begin: () => Promise<SessionKeys>): S3Credentials {
  let session: Promise<SessionKeys> | null = null;
  const current = async (): Promise<SessionKeys> => {
    const mine = (session ??= begin());
    try {
      const keys = await mine;
      if (keys.expiration === undefined || Number(keys.expiration) - Date.now() > renewBeforeMs) return keys;
    } catch (thrown) {
      if (session === mine) session = null;
      throw thrown;
    }
    if (session === mine) session = begin();
    return session;
  };
  return {
    current,
    renew: () => {
      session = null;
      return true;
    },
  };
}

function fileReader(location: S3Location, file: string, profile: string): () => SessionKeys {
  let read: { readonly stamp: number; readonly keys: SessionKeys } | null = null;
  return () => {
    const stamp = statSync(file, { throwIfNoEntry: false })?.mtimeMs;
    if (stamp === undefined) throw noCredentials(location, `the file ${file} does not exist`);
    if (read?.stamp !== stamp) read = { stamp, keys: keysIn(location, file, profile) };
    return read.keys;
  };
}

function keysIn(location: S3Location, file: string, profile: string): SessionKeys {
  const section = (parse(readFileSync(file, 'utf8')) as Record<string, Record<string, string> | undefined>)[profile];
  const accessKey = section?.['aws_access_key_id'];
  const secretKey = section?.['aws_secret_access_key'];
  if (accessKey !== undefined && secretKey !== undefined) {
    return { accessKey, secretKey, sessionToken: section?.['aws_session_token'] };
  }
  throw noCredentials(location, `${file} has no aws_access_key_id with aws_secret_access_key in section [${profile}]`);
}

function noCredentials({ bucket, endpoint }: S3Location, what: string): KindredError {
  return new KindredError(
    'FAILED_PRECONDITION',
    `no credentials for bucket '${bucket}' at ${endpoint.origin}: ${what}; set AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY, ` +
      'AWS_SHARED_CREDENTIALS_FILE, or AWS_WEB_IDENTITY_TOKEN_FILE with AWS_ROLE_ARN',
    { resource: { type: 'bucket', name: bucket } },
  );
}
