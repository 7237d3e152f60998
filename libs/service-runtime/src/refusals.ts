// Refusals of calls: what they say to people and to programs, as grpc-js sends it and as HTTP/2 headers.
import { Metadata, status } from '@grpc/grpc-js';
import { Any, ErrorInfo, RetryInfo } from 'nice-grpc-error-details';
import { Status } from 'nice-grpc-error-details/lib/proto/google/rpc/status.js';
import { retryInfo } from './status.js';

/** Why a call is refused before its message is read: there is no room for it. The caller gets RESOURCE_EXHAUSTED with RetryInfo. */
export interface Overload {
  /** For people: what is full. */
  readonly text: string;
  /** When room is likely, in milliseconds. */
  readonly retryAfterMs: number;
}

/** Why a call is turned away. */
export interface Refusal {
  readonly code: status;
  /** For programs: `google.rpc.ErrorInfo.reason`. */
  readonly reason: string;
  readonly text: string;
  readonly retryAfterMs?: number;
}

/** A refusal with all that is sent for it. */
export interface ReadyRefusal extends Refusal {
  readonly trailer: Metadata;
  /** The whole answer, a response of trailers alone (gRPC over HTTP/2, "Responses"). */
  readonly headers: Readonly<Record<string, string | number>>;
}

/** Times in refusals for want of room are multiples of it: there are few different ones then, each made once. */
const retryStepMs = 20;
const maxKnown = 512;

/** Makes refusals of overloads. Under load there are hundreds a second, so what they carry is made once a time that they name. */
export function overloadRefusals(): (overload: Overload) => ReadyRefusal {
  const known = new Map<string, ReadyRefusal>();
  return (overload) => {
    const retryAfterMs = Math.ceil(overload.retryAfterMs / retryStepMs) * retryStepMs;
    const key = `${retryAfterMs} ${overload.text}`;
    let refusal = known.get(key);
    if (refusal === undefined) {
      refusal = ready({ code: status.RESOURCE_EXHAUSTED, reason: 'OVERLOADED', text: overload.text, retryAfterMs });
      if (known.size >= maxKnown) known.clear();
      known.set(key, refusal);
    }
    return refusal;
  };
}

/** `google.rpc.Status` of a refusal, as metadata. */
export function detailsOf({ code, reason, text, retryAfterMs }: Refusal): Metadata {
  const details = [
    Any.fromPartial({
      typeUrl: `type.googleapis.com/${ErrorInfo.$type}`,
      value: ErrorInfo.encode(ErrorInfo.fromPartial({ reason, domain: 'kindred' })).finish(),
    }),
  ];
  if (retryAfterMs !== undefined) {
    details.push(
      Any.fromPartial({
        typeUrl: `type.googleapis.com/${RetryInfo.$type}`,
        value: RetryInfo.encode(retryInfo(retryAfterMs)).finish(),
      }),
    );
  }
  const metadata = new Metadata();
  const encoded = Status.encode(Status.fromPartial({ code, message: text, details })).finish();
  metadata.set('grpc-status-details-bin', Buffer.from(encoded));
  return metadata;
}

function ready(refusal: Refusal): ReadyRefusal {
  const trailer = detailsOf(refusal);
  const headers = {
    ':status': 200,
    'content-type': 'application/grpc+proto',
    'grpc-status': `${refusal.code}`,
    'grpc-message': encodeURI(refusal.text),
    ...(trailer.toHttp2Headers() as Record<string, string>),
  };
  return { ...refusal, trailer, headers };
}
