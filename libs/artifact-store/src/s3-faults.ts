// What can go wrong with an S3 server, as errors that name endpoint and bucket, say what to do, and never hold a secret.
import { KindredError, toKindredError, type ErrorCode } from '@kindred/errors';

/** What is known of a reply when a call fails. */
export interface FailedReply {
  /** HTTP status; null: no reply came. */
  readonly status: number | null;
  /** What the server calls the fault, where no body says so (MinIO's replies to HEAD). */
  readonly serverCode: string | null;
  /** The server's clock, `Date` of its reply. */
  readonly serverDate: string | null;
}

interface Meaning {
  readonly code: ErrorCode;
  readonly text: string;
}

/** A repeat makes sense at once: the caller's backoff decides when. */
const retryAfterMs = 0;

const keyAdvice =
  'check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_SHARED_CREDENTIALS_FILE or AWS_WEB_IDENTITY_TOKEN_FILE';
const denied = (text: string): Meaning => ({ code: 'PERMISSION_DENIED', text: `${text}; ${keyAdvice}` });
const unusable = (text: string): Meaning => ({ code: 'FAILED_PRECONDITION', text });
const noSpace: Meaning = {
  code: 'RESOURCE_EXHAUSTED',
  text: 'there is no space left; free some there, or raise its quota, and try again',
};
const wrongRegion = unusable("it belongs to another region; name the right one as 'region' in the store's address");

/** Faults by the server's name for them. */
const byServerCode: Readonly<Record<string, Meaning>> = {
  InvalidAccessKeyId: denied('the access key is not known there'),
  SignatureDoesNotMatch: denied('the secret key is not the one of the access key'),
  InvalidTokenId: denied('the session token is not valid'),
  InvalidToken: denied('the session token is not valid'),
  ExpiredToken: denied('the session token has expired'),
  ExpiredTokenException: denied('the session token has expired'),
  AccessDenied: denied('the credentials may not do this'),
  AllAccessDisabled: denied('access is disabled'),
  AccountProblem: denied('there is a problem with the account'),
  NoSuchBucket: unusable(
    "the bucket does not exist; create it (for example `mc mb`, `aws s3 mb`), or mend its name in the store's address",
  ),
  XMinioStorageFull: noSpace,
  XMinioAdminBucketQuotaExceeded: noSpace,
  QuotaExceeded: noSpace,
  AuthorizationHeaderMalformed: wrongRegion,
  AuthorizationQueryParametersError: wrongRegion,
  PermanentRedirect: wrongRegion,
  MovedPermanently: wrongRegion,
  TemporaryRedirect: wrongRegion,
  NotImplemented: { code: 'UNIMPLEMENTED', text: 'the server does not support this' },
  EntityTooLarge: { code: 'RESOURCE_EXHAUSTED', text: 'the object is larger than the server takes' },
};

const certificateCodes: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED:
    "the server's certificate has expired; renew it there, or mend this machine's clock if that is wrong",
  CERT_NOT_YET_VALID: "the server's certificate is not valid yet; mend the clock of this machine or of the server",
  ERR_TLS_CERT_ALTNAME_INVALID:
    "the server's certificate is for another host name; mend the endpoint or the certificate",
  EPROTO: 'the server does not speak TLS on this port; use http:// in the endpoint, or its TLS port',
};
const untrusted =
  "the server's certificate is not trusted; name the authority's certificates (PEM) as 'ca' in the store's address or in AWS_CA_BUNDLE";
const untrustedCodes: readonly string[] = [
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
];

/** Codes that are over by the next try, in 4xx replies and within a 200 that began before its work was done. */
const passingCodes: readonly string[] = [
  'RequestTimeout',
  'IncompleteBody',
  'BadDigest',
  'XAmzContentChecksumMismatch',
  'OperationAborted',
  'ConditionalRequestConflict',
  'SlowDown',
  'InternalError',
  'ServiceUnavailable',
];

/**
 * The error for a call that failed. Where a repeat may help it carries `retryAfterMs`: the server does not answer, is
 * busy, or the bytes were damaged on their way.
 */
export function s3Fault(place: string, bucket: string, thrown: unknown, reply: FailedReply): KindredError {
  if (thrown instanceof KindredError) return thrown;
  const { code: given, message } = thrown as { readonly code?: unknown; readonly message?: string };
  const code = reply.serverCode ?? (typeof given === 'string' ? given : '');
  const resource = { type: 'bucket', name: bucket };
  const fail = ({ code: errorCode, text }: Meaning, cause: unknown = undefined): KindredError =>
    new KindredError(errorCode, `cannot use ${place}: ${text}`, { resource, cause });

  if (code === 'RequestTimeTooSkewed') return fail(unusable(skewText(reply)));
  const certificate = certificateCodes[code] ?? (untrustedCodes.includes(code) ? untrusted : undefined);
  if (certificate !== undefined) return fail(unusable(`${certificate} (${code})`));
  if (reply.status === 507 || saysNoSpace(message)) return fail(noSpace);
  const known = byServerCode[code];
  // MinIO says 503 SlowDown, versitygw 500 InternalError: what a status means is asked last.
  if (known !== undefined) return fail({ ...known, text: `${known.text} (${code})` });
  if (isPassing(reply.status, code)) {
    const what = reply.status === null ? message || code : `HTTP ${reply.status} ${code || message}`;
    return new KindredError('UNAVAILABLE', `${place} does not answer as it should: ${what}; is the server well?`, {
      resource,
      retryAfterMs,
      cause: thrown,
    });
  }
  if (reply.status === null) return toKindredError(thrown);
  return fail({ code: 'INTERNAL', text: `HTTP ${reply.status} ${code}: ${message ?? ''}` }, thrown);
}

function isPassing(status: number | null, code: string): boolean {
  if (status === null) return code !== '' && !code.startsWith('ERR_');
  return passingCodes.includes(code) || status === 408 || status === 429 || (status >= 500 && status !== 501);
}

function saysNoSpace(message: string | undefined): boolean {
  return /no space left|disk quota exceeded|storage backend has reached its minimum free/i.test(message ?? '');
}

function skewText({ serverDate }: FailedReply): string {
  const difference = serverDate === null ? Number.NaN : Math.round((Date.now() - Date.parse(serverDate)) / 1000);
  const [amount, direction] = [Math.abs(difference), difference > 0 ? 'ahead of' : 'behind'];
  const text = Number.isNaN(difference) ? 'differs too much from' : `is ${amount} s ${direction}`;
  return `this machine's clock ${text} the server's; set both by a time server (RequestTimeTooSkewed)`;
}
