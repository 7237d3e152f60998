// Spans of calls, made and served, with the attributes of OpenTelemetry's conventions for gRPC (opentelemetry.io/docs/specs/semconv/rpc/grpc).
import {
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  context as contexts,
  propagation,
  trace,
  type Attributes,
  type Context,
  type TextMapGetter,
  type TextMapSetter,
} from '@opentelemetry/api';
import {
  ClientError,
  Metadata,
  ServerError,
  Status,
  type ClientMiddleware,
  type ServerMiddleware,
} from 'nice-grpc-common';

/** The steps of a call: a unary one returns its answer, a stream yields them. */
type Steps<T> = AsyncGenerator<T, T | void, undefined>;

const getter: TextMapGetter<Metadata> = {
  get: (metadata, key) => metadata.get(key) as string | undefined,
  keys: (metadata) => [...metadata].map(([key]) => key),
};
const setter: TextMapSetter<Metadata> = { set: (metadata, key, value) => metadata.set(key, value) };

/** The statuses that are the server's fault; the others are answers. On the client's side each but OK is a failure. */
const serverFaults: ReadonlySet<Status> = new Set([
  Status.UNKNOWN,
  Status.DEADLINE_EXCEEDED,
  Status.UNIMPLEMENTED,
  Status.INTERNAL,
  Status.UNAVAILABLE,
  Status.DATA_LOSS,
]);

/** A span per call that is served, child of the caller's. */
export const serverSpans: ServerMiddleware = (call, callContext) => {
  const parent = propagation.extract(ROOT_CONTEXT, callContext.metadata, getter);
  const peer = splitAddress(callContext.peer);
  const attributes: Attributes = { ...attributesOf(call.method.path), 'network.peer.address': peer.host };
  if (peer.port !== null) attributes['network.peer.port'] = peer.port;
  return inSpan(call.method.path, SpanKind.SERVER, attributes, parent, () => call.next(call.request, callContext));
};

/** A span per call that is made to `address`; its context goes along. */
export function clientSpans(address: string): ClientMiddleware {
  const server = splitAddress(address.replace(/^[a-z]+:\/*/, ''));
  return (call, options) => {
    const attributes: Attributes = { ...attributesOf(call.method.path), 'server.address': server.host };
    if (server.port !== null) attributes['server.port'] = server.port;
    return inSpan(call.method.path, SpanKind.CLIENT, attributes, contexts.active(), (active) => {
      const metadata = Metadata(options.metadata);
      propagation.inject(active, metadata, setter);
      return call.next(call.request, { ...options, metadata });
    });
  };
}

/** Runs each step of the call in a span of its own, and ends that with the call's status. */
async function* inSpan<T>(
  path: string,
  kind: SpanKind.SERVER | SpanKind.CLIENT,
  attributes: Attributes,
  parent: Context,
  begin: (active: Context) => Steps<T>,
): Steps<T> {
  const span = trace.getTracer('kindred').startSpan(path.slice(1), { kind, attributes }, parent);
  const active = trace.setSpan(parent, span);
  // What is neither answered nor refused was left by its reader.
  let status: Status = Status.CANCELLED;
  try {
    const steps = contexts.with(active, () => begin(active));
    try {
      for (;;) {
        const step = await contexts.with(active, () => steps.next());
        if (step.done === true) {
          status = Status.OK;
          return step.value;
        }
        yield step.value;
      }
    } finally {
      await contexts.with(active, () => steps.return(undefined));
    }
  } catch (thrown) {
    status = statusOf(thrown);
    throw thrown;
  } finally {
    span.setAttribute('rpc.response.status_code', Status[status]);
    if (kind === SpanKind.CLIENT ? status !== Status.OK : serverFaults.has(status)) {
      span.setAttribute('error.type', Status[status]);
      span.setStatus({ code: SpanStatusCode.ERROR });
    }
    span.end();
  }
}

function attributesOf(path: string): Attributes {
  return { 'rpc.system.name': 'grpc', 'rpc.method': path.slice(1) };
}

function statusOf(thrown: unknown): Status {
  if (thrown instanceof ServerError || thrown instanceof ClientError) return thrown.code;
  return thrown instanceof Error && thrown.name === 'AbortError' ? Status.CANCELLED : Status.UNKNOWN;
}

function splitAddress(address: string): { readonly host: string; readonly port: number | null } {
  const [, host, port] = /^(.*):(\d+)$/.exec(address) ?? [];
  return host === undefined ? { host: address, port: null } : { host, port: Number(port) };
}
