// A connection to one service: errors come back as KindredError, replicas are found, a dead peer is noticed in seconds.
import { maxMessageBytes } from '@kindred/protocol';
import {
  ChannelCredentials,
  createChannel,
  createClientFactory,
  type Client,
  type CompatServiceDefinition,
} from 'nice-grpc';
import type { CallOptions, ClientMiddlewareCall } from 'nice-grpc-common';
import { errorDetailsClientMiddleware } from 'nice-grpc-error-details';
import type { ServiceName } from './services.js';
import { errorFromStatus } from './status.js';

/** Which service, and where. */
export interface ConnectOptions {
  /** Name for errors. */
  readonly service: ServiceName;
  /** `host:port`, or `dns:///name:port` for all replicas behind a headless service. */
  readonly address: string;
}

/** A client with the connection under it. */
export interface Connection<D extends CompatServiceDefinition> {
  readonly client: Client<D>;
  readonly address: string;
  /** Closes the connection; calls under way fail. */
  close(): void;
}

/**
 * Connects to a service; the connection is made with the first call and made again after it breaks.
 * A peer that vanishes without closing is noticed after 4 s by keepalive pings.
 */
export function connect<D extends CompatServiceDefinition>(definition: D, options: ConnectOptions): Connection<D> {
  const { service, address } = options;
  const channel = createChannel(address, ChannelCredentials.createInsecure(), {
    'grpc.max_receive_message_length': maxMessageBytes,
    'grpc.max_send_message_length': maxMessageBytes,
    'grpc.keepalive_time_ms': 2_000,
    'grpc.keepalive_timeout_ms': 2_000,
    'grpc.keepalive_permit_without_calls': 0,
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 2_000,
    'grpc.service_config': JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
  });

  async function* translateErrors<Q, R>(call: ClientMiddlewareCall<Q, R>, callOptions: CallOptions) {
    try {
      return yield* call.next(call.request, callOptions);
    } catch (thrown) {
      throw errorFromStatus(thrown, service, address);
    }
  }

  // The middleware attached last is the outermost: details are read before errors are translated.
  const client = createClientFactory()
    .use(errorDetailsClientMiddleware)
    .use(translateErrors)
    .create(definition, channel);
  return { client, address, close: () => channel.close() };
}
