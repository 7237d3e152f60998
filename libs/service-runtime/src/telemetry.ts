// Traces through OpenTelemetry: off, and nothing of it loaded, unless the environment names a receiver.
import { setTimeout as delay } from 'node:timers/promises';
import { SpanStatusCode, trace } from '@opentelemetry/api';
import { KindredError } from '@kindred/errors';
import type { ClientMiddleware, ServerMiddleware } from 'nice-grpc-common';
import { clientSpans, serverSpans } from './traced-calls.js';

/** How long the last spans may take to be sent. */
const longestGoodbyeMs = 3000;

type Environment = Readonly<Record<string, string | undefined>>;

/** Traces of this process on their way to a receiver. */
export interface Telemetry {
  /** Sends what waits, and stops. */
  close(): Promise<void>;
}

let running: Promise<Telemetry> | null = null;
let enabled = false;

/**
 * Starts traces if `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` is set and neither `OTEL_SDK_DISABLED`
 * nor `OTEL_TRACES_EXPORTER=none` says otherwise. The SDK reads its other variables itself. Once a process; `name` is the
 * service's unless `OTEL_SERVICE_NAME` is set.
 * @returns null when traces are off.
 * @throws KindredError INVALID_ARGUMENT for a protocol that is not spoken here.
 */
export async function startTelemetry(name: string, environment: Environment = process.env): Promise<Telemetry | null> {
  const endpoint = environment['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] || environment['OTEL_EXPORTER_OTLP_ENDPOINT'];
  const off = environment['OTEL_SDK_DISABLED'] === 'true' || environment['OTEL_TRACES_EXPORTER'] === 'none';
  if (endpoint === undefined || endpoint === '' || off) return null;
  const protocol =
    environment['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL'] || environment['OTEL_EXPORTER_OTLP_PROTOCOL'] || 'http/protobuf';
  if (protocol !== 'http/protobuf') {
    const field = 'OTEL_EXPORTER_OTLP_PROTOCOL';
    const description = `is '${protocol}'; allowed: http/protobuf (receivers take it on port 4318)`;
    throw new KindredError('INVALID_ARGUMENT', `${field} ${description}`, { violations: [{ field, description }] });
  }
  return (running ??= start(environment['OTEL_SERVICE_NAME'] || `kindred-${name}`));
}

async function start(serviceName: string): Promise<Telemetry> {
  const [{ BatchSpanProcessor, NodeTracerProvider }, { OTLPTraceExporter }, resources] = await Promise.all([
    import('@opentelemetry/sdk-trace-node'),
    import('@opentelemetry/exporter-trace-otlp-proto'),
    import('@opentelemetry/resources'),
  ]);
  const named = resources.resourceFromAttributes({ 'service.name': serviceName, 'service.namespace': 'kindred' });
  const fromEnvironment = resources.detectResources({ detectors: [resources.envDetector] });
  const provider = new NodeTracerProvider({
    resource: named.merge(fromEnvironment),
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
  });
  // Brings the W3C propagator and the context that follows async code.
  provider.register();
  enabled = true;
  return {
    async close() {
      enabled = false;
      running = null;
      // A receiver that is away neither holds up the end of a service nor makes it a failure.
      await Promise.race([provider.shutdown().catch(() => {}), delay(longestGoodbyeMs, undefined, { ref: false })]);
      trace.disable();
    },
  };
}

/** Does `work` in a span of its own, a child of the one under way; without traces, just does it. */
export function withSpan<T>(name: string, work: () => Promise<T>): Promise<T> {
  if (!enabled) return work();
  return trace.getTracer('kindred').startActiveSpan(name, async (span) => {
    try {
      return await work();
    } catch (thrown) {
      span.setStatus({ code: SpanStatusCode.ERROR, message: thrown instanceof Error ? thrown.name : undefined });
      throw thrown;
    } finally {
      span.end();
    }
  });
}

/** A span per call that is served, child of the caller's; nothing while traces are off. */
export const tracedCall: ServerMiddleware = (call, context) =>
  enabled ? serverSpans(call, context) : call.next(call.request, context);

/** A span per call that is made to `address`, its context sent along; nothing while traces are off. */
export function tracedPeerCall(address: string): ClientMiddleware {
  const spans = clientSpans(address);
  return (call, options) => (enabled ? spans(call, options) : call.next(call.request, options));
}
