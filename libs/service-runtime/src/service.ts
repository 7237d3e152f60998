// The life of a service process: bind, serve, report health, drain, end.
import { KindredError } from '@kindred/errors';
import { maxMessageBytes, readDescriptorSet } from '@kindred/protocol';
import { createServer, type CompatServiceDefinition, type ServiceImplementation } from 'nice-grpc';
import { ServerError, Status, type CallContext, type ServerMiddlewareCall } from 'nice-grpc-common';
import { errorDetailsServerMiddleware } from 'nice-grpc-error-details';
import { prometheusServerMiddleware } from 'nice-grpc-prometheus';
import { HealthDefinition, HealthServiceImpl, HealthState } from 'nice-grpc-server-health';
import { ServerReflection, ServerReflectionService } from 'nice-grpc-server-reflection';
import { createLogger, type Logger } from './logger.js';
import type { NetworkConfig } from './network-config.js';
import { serveObservability } from './observability.js';
import type { ServiceName } from './services.js';
import { statusFromError } from './status.js';

/** Reflection under its older name, which clients such as grpcio-reflection's ask by; its messages are the same. */
const alphaReflectionService = {
  serverReflectionInfo: {
    ...ServerReflectionService.serverReflectionInfo,
    path: '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo',
  },
} as const;

/** Adds one gRPC service to the process. */
export interface ServiceRegistrar {
  add<D extends CompatServiceDefinition & { readonly fullName: string }>(
    definition: D,
    handlers: ServiceImplementation<D>,
  ): void;
}

/** What makes one service different from the others. */
export interface ServiceOptions {
  readonly name: ServiceName;
  readonly network: NetworkConfig;
  /** Adds the handlers; called once, before the port opens. */
  readonly register: (registrar: ServiceRegistrar) => void;
  /**
   * Health is NOT_SERVING, and a parent process is not told of the service, until this has ended; when it fails, the process
   * logs why and ends. @default ready at once
   */
  readonly ready?: Promise<unknown>;
  /** Called when the drain begins: ends streams that would not end by themselves. */
  readonly onDrain?: () => void | Promise<void>;
  /** Called after the last call has ended: frees what the service holds. */
  readonly onClose?: () => void | Promise<void>;
  /** @default a logger to stderr */
  readonly logger?: Logger;
}

/** A service that listens. */
export interface RunningService {
  readonly name: ServiceName;
  /** `host:port` of gRPC. */
  readonly address: string;
  /** `host:port` of metrics and liveness. */
  readonly metricsAddress: string;
  /** Stops accepting, waits for calls under way (at most `drainMs`), frees everything. Idempotent. */
  close(): Promise<void>;
}

/**
 * Starts a service: gRPC with health, reflection and metrics. SIGTERM, SIGINT and the loss of an IPC parent drain it.
 * @throws KindredError FAILED_PRECONDITION when the port is in use.
 */
export async function startService(options: ServiceOptions): Promise<RunningService> {
  const { name, network } = options;
  const logger = options.logger ?? createLogger(name);
  const health = HealthState();
  const draining = new AbortController();

  async function* reportErrors<Q, R>(call: ServerMiddlewareCall<Q, R>, context: CallContext) {
    try {
      return yield* call.next(call.request, context);
    } catch (thrown) {
      const error = statusFromError(thrown);
      if (error.code === Status.INTERNAL) logger.error({ rpc: call.method.path, err: thrown }, 'call failed');
      throw error;
    }
  }

  const server = createServer({
    'grpc.max_receive_message_length': maxMessageBytes,
    'grpc.max_send_message_length': maxMessageBytes,
    'grpc.keepalive_time_ms': 10_000,
    'grpc.keepalive_timeout_ms': 5_000,
    ...(network.maxConnectionAgeMs > 0 ? { 'grpc.max_connection_age_ms': network.maxConnectionAgeMs } : {}),
  })
    .use(prometheusServerMiddleware())
    .use(errorDetailsServerMiddleware)
    .use(reportErrors);

  const names: string[] = [];
  options.register({
    add(definition, handlers) {
      names.push(definition.fullName);
      server.add(definition, handlers);
    },
  });
  server.add(HealthDefinition, endableWatch(HealthServiceImpl(health), draining.signal));
  const reflection = ServerReflection(readDescriptorSet(), names);
  server.add(ServerReflectionService, reflection);
  server.add(alphaReflectionService, reflection);

  const setHealth = (status: 'healthy' | 'unhealthy'): void => {
    health.setStatus(status);
    for (const fullName of names) health.setStatus(status, fullName);
  };

  const metrics = await bind(name, network.metricsPort, () =>
    serveObservability(network.host, network.metricsPort, () => !draining.signal.aborted),
  );
  const port = await bind(name, network.port, () => server.listen(`${network.host}:${network.port}`)).catch(
    async (error) => {
      await metrics.close();
      throw error;
    },
  );
  setHealth('unhealthy');

  let closing: Promise<void> | null = null;
  const close = (): Promise<void> => (closing ??= drain());
  const drain = async (): Promise<void> => {
    setHealth('unhealthy');
    draining.abort();
    await options.onDrain?.();
    const forced = setTimeout(() => server.forceShutdown(), network.drainMs);
    await server.shutdown();
    clearTimeout(forced);
    await options.onClose?.();
    await metrics.close();
    logger.info('drained');
  };

  const address = `${network.host}:${port}`;
  const metricsAddress = `${network.host}:${metrics.port}`;
  logger.info({ address, metricsAddress }, 'listening');
  endWithProcess(close);
  Promise.resolve(options.ready).then(
    () => {
      if (draining.signal.aborted) return;
      setHealth('healthy');
      process.send?.({ kind: 'ready', address, metricsAddress });
    },
    (thrown: unknown) => {
      logger.fatal({ err: thrown }, 'the service cannot become ready');
      void close().finally(() => process.exit(1));
    },
  );
  return { name, address, metricsAddress, close };
}

/** Health's Watch never ends by itself, which would hold up the drain. */
function endableWatch(
  implementation: ReturnType<typeof HealthServiceImpl>,
  draining: AbortSignal,
): ReturnType<typeof HealthServiceImpl> {
  return {
    check: (request, context) => implementation.check(request, context),
    async *watch(request, context) {
      const signal = AbortSignal.any([context.signal, draining]);
      try {
        yield* implementation.watch(request, { ...context, signal });
      } catch (thrown) {
        if (draining.aborted) throw new ServerError(Status.UNAVAILABLE, 'the service is ending');
        throw thrown;
      }
    },
  };
}

/** Gives "address in use" its name and its remedy. */
async function bind<T>(name: ServiceName, port: number, listen: () => Promise<T>): Promise<T> {
  try {
    return await listen();
  } catch (thrown) {
    const text = thrown instanceof Error ? thrown.message : String(thrown);
    if (!text.includes('EADDRINUSE') && !text.includes('address already in use')) throw thrown;
    throw new KindredError(
      'FAILED_PRECONDITION',
      `${name}: port ${port} is in use by another process; stop it, or choose another port (0: any free one)`,
      { resource: { type: 'service', name }, cause: thrown },
    );
  }
}

/** Drains on the signals that end a process, and when a parent that holds an IPC channel dies. */
function endWithProcess(close: () => Promise<void>): void {
  const end = (): void => {
    close().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  };
  process.once('SIGTERM', end);
  process.once('SIGINT', end);
  if (process.connected) process.once('disconnect', end);
}
