// Turns calls away before their messages are read: without a token, without the role, while the service ends or has no room.
import { ServerInterceptingCall, Metadata, status, type ServerInterceptor } from '@grpc/grpc-js';
import { Any, ErrorInfo, RetryInfo } from 'nice-grpc-error-details';
import { Status } from 'nice-grpc-error-details/lib/proto/google/rpc/status.js';
import type { AccessTable, Caller, RpcRole } from './access.js';
import { roleAllows } from './access.js';
import { counter } from './metrics.js';

/** What the gate decides by. */
export interface CallGateOptions {
  /** Null: no token is asked for. */
  readonly access: (() => AccessTable) | null;
  /** Role by full path of the RPC. */
  readonly roles: ReadonlyMap<string, RpcRole>;
  readonly draining: AbortSignal;
  /** Asked for each call that is otherwise let in, by the RPC's full path. @default there is always room */
  readonly overloaded?: (path: string) => Overload | null;
}

/** Why a call is refused before its message is read: there is no room for it. The caller gets RESOURCE_EXHAUSTED with RetryInfo. */
export interface Overload {
  /** For people: what is full. */
  readonly text: string;
  /** When room is likely, in milliseconds. */
  readonly retryAfterMs: number;
}

/** What the gate learns of a call that it lets through. */
export interface Admission {
  /** When the caller gives up, in milliseconds since 1970; null: never. */
  readonly deadlineMs: number | null;
  readonly caller: string | null;
}

interface Refusal {
  readonly code: status;
  /** For programs: `google.rpc.ErrorInfo.reason`. */
  readonly reason: string;
  readonly text: string;
  readonly retryAfterMs?: number;
  /** What {@link detailsOf} gives, where it is known already. */
  readonly trailer?: Metadata;
}

/** Metadata of this process alone: the gate sets it whatever the caller sent, the server's middleware takes it out. */
const admissionKey = 'kindred-admission';

/** Calls that could not be accepted while the service ends succeed on another replica, or after the restart. */
const retryWhileDrainingMs = 500;
/** Times in refusals for want of room are multiples of it: their trailers are then few, and made once. */
const retryStepMs = 20;
const maxKnownTrailers = 512;

const refused = counter(
  'kindred_server_refused_calls_total',
  'Calls that were turned away before their messages were read, by RPC and reason.',
  ['grpc_service', 'grpc_method', 'reason'],
);

/** Makes the interceptor that every call of a server goes through first. */
export function callGate(options: CallGateOptions): ServerInterceptor {
  const overloads = overloadRefusals();
  return (method, call) =>
    new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata(metadata, admit) {
            const verdict = judge(method.path, metadata, options);
            const refusal = 'code' in verdict ? verdict : overloads(options.overloaded?.(method.path) ?? null);
            if (refusal !== null) {
              const [, service = '', name = ''] = method.path.split('/');
              refused.inc({ grpc_service: service, grpc_method: name, reason: refusal.reason });
              const details = refusal.trailer ?? detailsOf(refusal);
              call.sendStatus({ code: refusal.code, details: refusal.text, metadata: details });
              return;
            }
            const deadline = Number(call.getDeadline());
            const admission: Admission = {
              deadlineMs: Number.isFinite(deadline) ? deadline : null,
              caller: 'code' in verdict ? null : (verdict.caller?.name ?? null),
            };
            metadata.remove('authorization');
            metadata.set(admissionKey, encodeURIComponent(JSON.stringify(admission)));
            admit(metadata);
          },
        }),
    });
}

/** What the gate wrote beside a call; `read` looks up one key of its metadata. */
export function admissionOf(read: (key: string) => string | Uint8Array | undefined): Admission {
  const text = read(admissionKey);
  return text === undefined
    ? { deadlineMs: null, caller: null }
    : (JSON.parse(decodeURIComponent(String(text))) as Admission);
}

/** Makes refusals of overloads. Under load there are hundreds a second, so what they carry is made once a time that they name. */
function overloadRefusals(): (overload: Overload | null) => Refusal | null {
  const known = new Map<string, Refusal>();
  return (overload) => {
    if (overload === null) return null;
    const retryAfterMs = Math.ceil(overload.retryAfterMs / retryStepMs) * retryStepMs;
    const key = `${retryAfterMs} ${overload.text}`;
    let refusal = known.get(key);
    if (refusal === undefined) {
      const made: Refusal = {
        code: status.RESOURCE_EXHAUSTED,
        reason: 'OVERLOADED',
        text: overload.text,
        retryAfterMs,
      };
      refusal = { ...made, trailer: detailsOf(made) };
      if (known.size >= maxKnownTrailers) known.clear();
      known.set(key, refusal);
    }
    return refusal;
  };
}

function judge(
  path: string,
  metadata: Metadata,
  { access, roles, draining }: CallGateOptions,
): Refusal | { readonly caller: Caller | null } {
  const asked = roles.get(path) ?? 'admin';
  if (draining.aborted && asked !== 'open') {
    const text = 'the service is ending; send the call again, it goes to another replica or to the successor';
    return { code: status.UNAVAILABLE, reason: 'SERVICE_ENDING', text, retryAfterMs: retryWhileDrainingMs };
  }
  if (access === null || asked === 'open') return { caller: null };
  const header = metadata.get('authorization');
  if (header.length === 0) {
    const text = "no token; send the metadata 'authorization: Bearer <token>' (Kindred's clients: KINDRED_TOKEN_FILE)";
    return { code: status.UNAUTHENTICATED, reason: 'TOKEN_MISSING', text };
  }
  const token = /^Bearer +(\S+)$/i.exec(String(header[0]))?.[1];
  if (header.length > 1 || token === undefined) {
    const text = "the metadata 'authorization' cannot be read; allowed: one value, Bearer <token>";
    return { code: status.UNAUTHENTICATED, reason: 'TOKEN_MALFORMED', text };
  }
  const caller = access().find(token);
  if (caller === null) {
    const text = 'the token is not known here; it may have been replaced';
    return { code: status.UNAUTHENTICATED, reason: 'TOKEN_UNKNOWN', text };
  }
  if (!roleAllows(caller.role, asked)) {
    const text = `${path} asks for the role ${asked}; the token of '${caller.name}' has the role ${caller.role}`;
    return { code: status.PERMISSION_DENIED, reason: 'ROLE_MISSING', text };
  }
  return { caller };
}

function detailsOf({ code, reason, text, retryAfterMs }: Refusal): Metadata {
  const details = [
    Any.fromPartial({
      typeUrl: `type.googleapis.com/${ErrorInfo.$type}`,
      value: ErrorInfo.encode(ErrorInfo.fromPartial({ reason, domain: 'kindred' })).finish(),
    }),
  ];
  if (retryAfterMs !== undefined) {
    const retryDelay = { seconds: Math.floor(retryAfterMs / 1000), nanos: (retryAfterMs % 1000) * 1e6 };
    details.push(
      Any.fromPartial({
        typeUrl: `type.googleapis.com/${RetryInfo.$type}`,
        value: RetryInfo.encode(RetryInfo.fromPartial({ retryDelay })).finish(),
      }),
    );
  }
  const metadata = new Metadata();
  const encoded = Status.encode(Status.fromPartial({ code, message: text, details })).finish();
  metadata.set('grpc-status-details-bin', Buffer.from(encoded));
  return metadata;
}
