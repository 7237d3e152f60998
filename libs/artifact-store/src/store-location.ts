// How a store is named: a folder's path, or an address `s3://bucket/prefix?endpoint=…`.
import { invalidField } from '@kindred/errors';
import { z } from 'zod';
import { checkedKey } from './key.js';

/** A store in a folder. */
export interface FolderLocation {
  readonly kind: 'folder';
  readonly path: string;
}

/** A store in a bucket of an S3 server. */
export interface S3Location {
  readonly kind: 's3';
  readonly bucket: string;
  /** What all keys of the store begin with in the bucket: empty, or segments with a `/` at the end. */
  readonly prefix: string;
  /** Scheme, host and port of the server. */
  readonly endpoint: URL;
  readonly region: string;
  /** Whether the bucket is a part of the path rather than of the host name. Amazon's own servers take host names only. */
  readonly pathStyle: boolean;
  /** File with the certificates (PEM) that are trusted in place of the system's; null: the system's. */
  readonly caFile: string | null;
  /** Encryption at the server's side: none asked for, its own keys (SSE-S3), or a key of its key service. */
  readonly encryption: { readonly kind: 'none' | 's3' } | { readonly kind: 'kms'; readonly keyId: string };
  /** Bytes of one part of a multipart upload; also the largest object that is put by one call. */
  readonly partSize: number;
  /** Parts on their way at a time. */
  readonly parallelParts: number;
  /** File of AWS's form that holds the credentials; null: the environment says where they are. */
  readonly credentialsFile: string | null;
  /** How long a call may make no progress before it is given up and repeated, in milliseconds. */
  readonly idleMs: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

const bucketForm = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
const mebibyte = 2 ** 20;

/** What cannot be read may hold a secret at a place that is not known. */
const notShown = 'got an address that cannot be read (not shown, for it may hold credentials)';
const endpointForm = z.url({ protocol: /^https?$/ });

const queryForm = z.strictObject({
  // Looked at by itself: where it is wrong it is not shown.
  endpoint: z.string().optional(),
  region: z
    .string()
    .regex(/^[a-z0-9-]+$/)
    .optional(),
  'path-style': z.enum(['true', 'false']).optional(),
  ca: z.string().min(1).optional(),
  credentials: z.string().min(1).optional(),
  sse: z
    .string()
    .regex(/^(s3|kms:.+)$/)
    .optional(),
  'part-mib': z.coerce.number().int().min(5).max(1024).default(16),
  'parallel-parts': z.coerce.number().int().min(1).max(32).default(4),
  'idle-seconds': z.coerce.number().int().min(1).max(600).default(30),
});

const allowed: Readonly<Record<keyof z.infer<typeof queryForm>, string>> = {
  endpoint: 'http://HOST:PORT or https://HOST:PORT',
  region: "a region's name, e.g. eu-central-1",
  'path-style': 'true, false',
  ca: 'the path of a file of certificates (PEM)',
  credentials: "the path of a file of credentials in AWS's form",
  sse: 's3, kms:KEY_ID',
  'part-mib': 'a whole number from 5 to 1024',
  'parallel-parts': 'a whole number from 1 to 32',
  'idle-seconds': 'a whole number from 1 to 600',
};

/**
 * Reads a store's name: `/path`, `file:///path`, or `s3://BUCKET[/PREFIX][?NAME=VALUE&…]` with the names `endpoint`
 * (default: `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, else Amazon's), `region` (`AWS_REGION`, `AWS_DEFAULT_REGION`, else
 * `us-east-1`), `path-style` (true but for Amazon's servers), `ca` (`AWS_CA_BUNDLE`), `credentials` (a file), `sse` (`s3`, `kms:KEY_ID`),
 * `part-mib` (16), `parallel-parts` (4) and `idle-seconds` (30).
 * @throws KindredError INVALID_ARGUMENT saying what was got and what is allowed; credentials are refused, since addresses are shown.
 */
export function parseStoreLocation(name: string, environment: Environment): FolderLocation | S3Location {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(name)?.[1]?.toLowerCase();
  if (scheme === undefined) {
    if (name === '') throw invalidField('store', "got ''; allowed: a folder's path, s3://BUCKET/PREFIX?endpoint=…");
    return Object.freeze({ kind: 'folder', path: name });
  }
  if (scheme === 'file') return Object.freeze({ kind: 'folder', path: decodeURIComponent(new URL(name).pathname) });
  if (scheme !== 's3') {
    throw invalidField('store', `got scheme '${scheme}'; allowed: a folder's path, file:///PATH, s3://BUCKET/PREFIX`);
  }
  if (!URL.canParse(name)) throw invalidField('store', `${notShown}; allowed: s3://BUCKET/PREFIX?endpoint=…`);
  return parseS3(new URL(name), environment);
}

function parseS3(address: URL, environment: Environment): S3Location {
  refuseCredentials('store', address);
  const bucket = address.host;
  if (!bucketForm.test(bucket)) {
    throw invalidField(
      'store',
      `got bucket '${bucket}'; allowed: 3 to 63 of a-z, 0-9, '.' and '-', e.g. s3://artifacts`,
    );
  }
  const folder = address.pathname.replace(/^\/|\/$/g, '');
  const query = checkedQuery(Object.fromEntries(address.searchParams));
  const named = [query.endpoint, environment['AWS_ENDPOINT_URL_S3'], environment['AWS_ENDPOINT_URL']].find(Boolean);
  const endpoint = checkedEndpoint(named ?? 'https://s3.amazonaws.com');
  const isAmazon = /(^|\.)amazonaws\.com(\.cn)?$/.test(endpoint.hostname);
  return Object.freeze({
    kind: 's3',
    bucket,
    prefix: folder === '' ? '' : `${checkedKey(folder)}/`,
    endpoint,
    region: query.region ?? (environment['AWS_REGION'] || environment['AWS_DEFAULT_REGION'] || 'us-east-1'),
    pathStyle: query['path-style'] === undefined ? !isAmazon : query['path-style'] === 'true',
    caFile: query.ca ?? (environment['AWS_CA_BUNDLE'] || null),
    credentialsFile: query.credentials ?? null,
    encryption: encryptionOf(query.sse),
    partSize: query['part-mib'] * mebibyte,
    parallelParts: query['parallel-parts'],
    idleMs: query['idle-seconds'] * 1000,
  });
}

/** Addresses are shown, in logs and to callers, so that none may hold a secret. */
function refuseCredentials(field: string, { username, password }: URL): void {
  if (username === '' && password === '') return;
  throw invalidField(
    field,
    'got credentials in the address; allowed: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_SHARED_CREDENTIALS_FILE or AWS_WEB_IDENTITY_TOKEN_FILE in the environment',
  );
}

function checkedEndpoint(value: string): URL {
  if (!endpointForm.safeParse(value).success) {
    throw invalidField('store: endpoint', `${notShown}; allowed: ${allowed.endpoint}`);
  }
  const endpoint = new URL(value);
  refuseCredentials('store: endpoint', endpoint);
  return endpoint;
}

function checkedQuery(values: Record<string, string>): z.infer<typeof queryForm> {
  const result = queryForm.safeParse(values);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  if (issue?.code === 'unrecognized_keys') {
    throw invalidField('store', `got '${issue.keys.join("', '")}'; allowed: ${Object.keys(allowed).join(', ')}`);
  }
  const field = String(issue?.path[0]) as keyof typeof allowed;
  throw invalidField(`store: ${field}`, `got '${values[field]}'; allowed: ${allowed[field]}`);
}

function encryptionOf(sse: string | undefined): S3Location['encryption'] {
  if (sse === undefined) return { kind: 'none' };
  return sse === 's3' ? { kind: 's3' } : { kind: 'kms', keyId: sse.slice('kms:'.length) };
}
