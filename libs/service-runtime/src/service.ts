// The life of a service process: bind, serve, report health, drain, end.
import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { KindredError } from '@kindred/errors';
import { readDescriptorSet } from '@kindred/protocol';
import { createServer, type CompatServiceDefinition, type ServiceImplementation } from 'nice-grpc';
import { errorDetailsServerMiddleware } from 'nice-grpc-error-details';
import { prometheusServerMiddleware } from 'nice-grpc-prometheus';
import { HealthDefinition } from 'nice-grpc-server-health';
import { ServerReflection, ServerReflectionService } from 'nice-grpc-server-reflection';
import { rolesByPath, type RpcRole, type RpcRoles } from './access.js';
import { callGate } from './call-gate.js';
import { createHealthBoard, type ServerHealth } from './health.js';
import { createLogger, type Logger } from './logger.js';
import type { NetworkConfig, ServerSecurity } from './network-config.js';
import { serveObservability } from './observability.js';
import type { Overload } from './refusals.js';
import { channelOptions, openDoors } from './server-doors.js';
import { loggedCalls, reportedErrors, scopedCalls } from './server-calls.js';
import type { ServiceName } from './services.js';
import { listenBehind } from './stream-gate.js';
import { startTelemetry, tracedCall } from './telemetry.js';

/** Reflection under its older name, which clients such as grpcio-reflection's ask by; its messages are the same. */
const alphaReflectionService = {
  serverReflectionInfo: {
    ...ServerReflectionService.serverReflectionInfo,
    path: '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo',
  },
} as const;

/** Adds one gRPC service to the process. */
export interface ServiceRegistrar {
  /**
   * `roles` says who may call what. Without it the service starts only where no tokens are asked for.
   * @throws KindredError FAILED_PRECONDITION for an RPC without a role.
   */
  add<D extends CompatServiceDefinition & { readonly fullName: string }>(
    definition: D,
    handlers: ServiceImplementation<D>,
    roles?: RpcRoles<D>,
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
  /** Health of what the service holds, by name. @default a board without names of the service's own */
  readonly health?: ServerHealth;
  /**
   * Asked before the message of a call is read, by the RPC's full path: what it gives refuses the call with RESOURCE_EXHAUSTED and
   * RetryInfo at the cost of its headers. @default no call is refused for want of room
   */
  readonly overloaded?: (path: string) => Overload | null;
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
  /** Looks at certificates and tokens now instead of at the next interval. */
  reload(): Promise<void>;
  /** Turns new calls away, waits for calls under way (at most `drainMs`), frees everything. Idempotent. */
  close(): Promise<void>;
}

const openSecurity: ServerSecurity = { certFile: null, keyFile: null, clientCaFile: null, accessFile: null };

/**
 * Starts a service: gRPC with health, reflection and metrics. SIGTERM, SIGINT and the loss of an IPC parent drain it.
 * @throws KindredError FAILED_PRECONDITION when the port is in use, a certificate or the access file cannot be used, or an
 * RPC has no role.
 */
export async function startService(options: ServiceOptions): Promise<RunningService> {
  const { name, network } = options;
  const logger = options.logger ?? createLogger(name);
  for (const { name: variable, nearest } of network.unknownVariables ?? [])
    logger.warn(
      { variable, nearest },
      `${variable} is no setting of this service and has no effect; did you mean ${nearest}?`,
    );
  const health = options.health ?? createHealthBoard();
  const draining = new AbortController();
  // Each stream listens; Node would warn of the eleventh listener.
  setMaxListeners(0, draining.signal);
  const telemetry = await startTelemetry(name);
  const doors = openDoors(network.security ?? openSecurity, logger);
  const roles = new Map<string, RpcRole>();

  const gate = callGate({ ...doors, roles, draining: draining.signal, overloaded: options.overloaded });
  let server = createServer({
    ...channelOptions(network),
    interceptors: [gate.interceptor],
  })
    .use(tracedCall)
    .use(scopedCalls());
  if (network.accessLog === true) server = server.use(loggedCalls(logger));
  server = server.use(prometheusServerMiddleware()).use(errorDetailsServerMiddleware).use(reportedErrors(logger));

  const names: string[] = [];
  const admit = (
    definition: CompatServiceDefinition & { readonly fullName: string },
    table: object | undefined,
  ): void => {
    const { fullName, methods } = definition as unknown as {
      fullName: string;
      methods: Record<string, { name: string }>;
    };
    if (table === undefined && doors.access !== null)
      throw new KindredError('FAILED_PRECONDITION', `${fullName} has no table of roles, which an access file asks for`);
    if (table === undefined) return;
    for (const [path, role] of rolesByPath(fullName, methods, table as Record<string, RpcRole>)) roles.set(path, role);
  };
  options.register({
    add(definition, handlers, table) {
      names.push(definition.fullName);
      health.set(definition.fullName, true);
      admit(definition, table);
      server.add(definition, handlers);
    },
  });
  server.add(HealthDefinition, health.handlers(draining.signal));
  for (const { name: rpc } of Object.values(HealthDefinition.methods))
    roles.set(`/${HealthDefinition.fullName}/${rpc}`, 'open');
  const { reflection = 'open' } = network.security ?? openSecurity;
  if (reflection !== 'off') {
    const implementation = ServerReflection(readDescriptorSet(), names);
    for (const definition of [ServerReflectionService, alphaReflectionService]) {
      server.add(definition, implementation);
      roles.set(definition.serverReflectionInfo.path, reflection);
    }
  }
  let serving = false;
  const setServing = (now: boolean): void => {
    serving = now;
    health.setProcess(now);
  };
  setServing(false);

  const metrics = await bind(name, network.metricsPort, () =>
    serveObservability(network.host, network.metricsPort, {
      healthy: () => !draining.signal.aborted,
      ready: () => serving,
    }),
  );
  const port = await bind(name, network.port, () =>
    listenBehind(gate.streams, () => server.listen(`${network.host}:${network.port}`, doors.credentials)),
  ).catch(async (error) => {
    await metrics.close();
    doors.close();
    throw error;
  });

  let closing: Promise<void> | null = null;
  const close = (): Promise<void> => (closing ??= drain());
  const drain = async (): Promise<void> => {
    // Whoever asks for health hears of the end before a call is turned away.
    setServing(false);
    await delay(network.drainDelayMs ?? 0);
    draining.abort();
    await options.onDrain?.();
    const forced = setTimeout(() => {
      logger.warn({ drainMs: network.drainMs }, 'calls that did not end in time are cut');
      server.forceShutdown();
    }, network.drainMs);
    await server.shutdown();
    clearTimeout(forced);
    await options.onClose?.();
    await metrics.close();
    doors.close();
    await telemetry?.close();
    forgetProcess();
    logger.info('drained');
  };

  const address = `${network.host}:${port}`;
  const metricsAddress = `${network.host}:${metrics.port}`;
  logger.info({ address, metricsAddress, ...doors.described }, 'listening');
  const forgetProcess = endWithProcess(close);
  Promise.resolve(options.ready).then(
    () => {
      if (closing !== null) return;
      setServing(true);
      process.send?.({ kind: 'ready', address, metricsAddress });
    },
    (thrown: unknown) => {
      logger.fatal({ err: thrown }, 'the service cannot become ready');
      void close().finally(() => process.exit(1));
    },
  );
  return { name, address, metricsAddress, reload: doors.reload, close };
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

/**
 * Drains on the signals that end a process, and when a parent that holds an IPC channel dies. Gives what forgets the service once it
 * has ended by itself: a process may start many, one after the other.
 */
function endWithProcess(close: () => Promise<void>): () => void {
  const end = (): void => {
    close().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  };
  const events = ['SIGTERM', 'SIGINT', ...(process.connected ? ['disconnect'] : [])];
  for (const event of events) process.once(event, end);
  return () => {
    for (const event of events) process.off(event, end);
  };
}
