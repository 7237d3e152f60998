// A connection to one service: errors come back as KindredError, replicas are found, a dead peer is noticed in seconds.
import { maxMessageBytes } from '@kindred/protocol';
import { createChannel, createClientFactory, type Client, type CompatServiceDefinition } from 'nice-grpc';
import { Metadata, type CallOptions, type ClientMiddlewareCall } from 'nice-grpc-common';
import { errorDetailsClientMiddleware } from 'nice-grpc-error-details';
import { currentCall } from './call-scope.js';
import { clientCredentials, clientSecurity, type ClientSecurity } from './client-security.js';
import { withinDeadline, type CallDeadline } from './deadlines.js';
import { requestIdKey } from './server-calls.js';
import type { ServiceName } from './services.js';
import { errorFromStatus } from './status.js';
import { tracedPeerCall } from './telemetry.js';

/** Which service, and where. */
export interface ConnectOptions {
  /** Name for errors. */
  readonly service: ServiceName;
  /** `host:port`, or `dns:///name:port` for all replicas behind a headless service. */
  readonly address: string;
  /** TLS and token. @default what the environment says (docs/security.md) */
  readonly security?: ClientSecurity;
}

/** A client with the connection under it. */
export interface Connection<D extends CompatServiceDefinition> {
  readonly client: Client<D, CallDeadline>;
  readonly address: string;
  /** Closes the connection; calls under way fail. */
  close(): void;
}

/**
 * Connects to a service; the connection is made with the first call and made again after it breaks.
 * A peer that vanishes without closing is noticed after 4 s by keepalive pings. A call that is made while another is served
 * ends no later than that one's deadline, and carries its request id and trace on.
 * @throws KindredError FAILED_PRECONDITION when a certificate or token cannot be used, or would travel in plain sight.
 */
export function connect<D extends CompatServiceDefinition>(definition: D, options: ConnectOptions): Connection<D> {
  const { service, address } = options;
  const credentials = clientCredentials(options.security ?? clientSecurity(), address);
  const channel = createChannel(address, credentials.channel, {
    'grpc.max_receive_message_length': maxMessageBytes,
    'grpc.max_send_message_length': maxMessageBytes,
    'grpc.keepalive_time_ms': 2_000,
    'grpc.keepalive_timeout_ms': 2_000,
    'grpc.keepalive_permit_without_calls': 0,
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 2_000,
    // Of its own accord it asks no sooner than after 30 s, while every replica may have been replaced by another address.
    'grpc.dns_min_time_between_resolutions_ms': 2_000,
    'grpc.service_config': JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
    ...(credentials.serverName === null ? {} : { 'grpc.ssl_target_name_override': credentials.serverName }),
  });

  async function* translateErrors<Q, R>(call: ClientMiddlewareCall<Q, R>, callOptions: CallOptions) {
    try {
      return yield* call.next(call.request, callOptions);
    } catch (thrown) {
      throw errorFromStatus(thrown, service, address);
    }
  }

  function identify<Q, R>(call: ClientMiddlewareCall<Q, R>, callOptions: CallOptions) {
    const token = credentials.token();
    const requestId = currentCall()?.requestId;
    if (token === null && requestId === undefined) return call.next(call.request, callOptions);
    const metadata = Metadata(callOptions.metadata);
    if (token !== null) metadata.set('authorization', `Bearer ${token}`);
    if (requestId !== undefined && !metadata.has(requestIdKey)) metadata.set(requestIdKey, requestId);
    return call.next(call.request, { ...callOptions, metadata });
  }

  // The middleware attached last is the outermost: details are read before errors are translated.
  const client = createClientFactory()
    .use(tracedPeerCall(address))
    .use(identify)
    .use(errorDetailsClientMiddleware)
    .use(withinDeadline)
    .use(translateErrors)
    .create(definition, channel);
  return { client, address, close: () => channel.close() };
}
