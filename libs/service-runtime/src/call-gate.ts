// Turns calls away before their messages are read: without a token, without the role, while the service ends or has no room.
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { ServerInterceptingCall, Metadata, status, type ServerInterceptor } from '@grpc/grpc-js';
import type { AccessTable, Caller, RpcRole } from './access.js';
import { roleAllows } from './access.js';
import { counter } from './metrics.js';
import { detailsOf, overloadRefusals, type Overload, type ReadyRefusal, type Refusal } from './refusals.js';
import type { StreamGate } from './stream-gate.js';

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

/** The gate's two places, which decide alike. */
export interface CallGate {
  /** Goes first among a server's interceptors. */
  readonly interceptor: ServerInterceptor;
  /**
   * Before grpc-js: refuses for want of room alone, the one refusal that has to be cheap, since the more of them there are the less
   * there is to spend. Null where no call is refused for it.
   */
  readonly streams: StreamGate | null;
}

/** What the gate learns of a call that it lets through. */
export interface Admission {
  /** When the caller gives up, in milliseconds since 1970; null: never. */
  readonly deadlineMs: number | null;
  readonly caller: string | null;
}

/** Metadata of this process alone: the gate sets it whatever the caller sent, the server's middleware takes it out. */
const admissionKey = 'kindred-admission';

/** Calls that could not be accepted while the service ends succeed on another replica, or after the restart. */
const retryWhileDrainingMs = 500;

const refused = counter(
  'kindred_server_refused_calls_total',
  'Calls that were turned away before their messages were read, by RPC and reason.',
  ['grpc_service', 'grpc_method', 'reason'],
);

/** Makes the gate of one server. */
export function callGate(options: CallGateOptions): CallGate {
  const { overloaded, access } = options;
  const refusalOf = overloadRefusals();
  const wantOfRoom = (path: string): ReadyRefusal | null => {
    const overload = overloaded?.(path) ?? null;
    return overload === null ? null : refusalOf(overload);
  };
  // Known from the first stream on: one that has been at the gate is not asked for room a second time.
  let streamsAreAsked = false;

  const streams: StreamGate = (stream, headers) => {
    streamsAreAsked = true;
    const path = headers[':path'];
    if (path === undefined || !isGrpc(headers)) return false;
    const metadata = access === null ? null : Metadata.fromHttp2Headers({ authorization: headers.authorization });
    // Refused for something else: by the interceptor, as calls to other services are.
    if ('code' in judge(path, metadata, options)) return false;
    const refusal = wantOfRoom(path);
    if (refusal === null) return false;
    count(path, refusal);
    refuseStream(stream, refusal);
    return true;
  };

  const interceptor: ServerInterceptor = ({ path }, call) =>
    new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata(metadata, admit) {
            const verdict = judge(path, metadata, options);
            const refusal: (Refusal & Partial<ReadyRefusal>) | null =
              'code' in verdict ? verdict : streamsAreAsked ? null : wantOfRoom(path);
            if (refusal !== null) {
              count(path, refusal);
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
  return { interceptor, streams: overloaded === undefined ? null : streams };
}

/** What the gate wrote beside a call; `read` looks up one key of its metadata. */
export function admissionOf(read: (key: string) => string | Uint8Array | undefined): Admission {
  const text = read(admissionKey);
  return text === undefined
    ? { deadlineMs: null, caller: null }
    : (JSON.parse(decodeURIComponent(String(text))) as Admission);
}

/** As grpc-js reckons it; the others get its answer, 415. */
function isGrpc(headers: IncomingHttpHeaders): boolean {
  return headers['content-type']?.startsWith('application/grpc') === true;
}

function refuseStream(stream: ServerHttp2Stream, { headers }: ReadyRefusal): void {
  // A caller that has left meanwhile, or leaves now: nobody to tell.
  stream.on('error', nobodyToTell);
  if (stream.destroyed || stream.closed) return;
  stream.respond(headers, { endStream: true });
  // What is still sent is read and dropped, since it counts against the connection's window.
  stream.resume();
}

function nobodyToTell(): void {}

function count(path: string, { reason }: Refusal): void {
  const [, service = '', name = ''] = path.split('/');
  refused.inc({ grpc_service: service, grpc_method: name, reason });
}

/** `metadata` is null only where no token is asked for. */
function judge(
  path: string,
  metadata: Metadata | null,
  { access, roles, draining }: CallGateOptions,
): Refusal | { readonly caller: Caller | null } {
  const asked = roles.get(path) ?? 'admin';
  if (draining.aborted && asked !== 'open') {
    const text = 'the service is ending; send the call again, it goes to another replica or to the successor';
    return { code: status.UNAVAILABLE, reason: 'SERVICE_ENDING', text, retryAfterMs: retryWhileDrainingMs };
  }
  if (access === null || metadata === null || asked === 'open') return { caller: null };
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
