// A server's certificate and tokens, followed as their files change, and its connections' limits.
import type { ChannelOptions, ServerCredentials } from '@grpc/grpc-js';
import { maxMessageBytes } from '@kindred/protocol';
import { watchAccessFile, type AccessTable } from './access.js';
import { plaintextServer, serverCertificates } from './certificates.js';
import type { Logger } from './logger.js';
import type { NetworkConfig, ServerSecurity } from './network-config.js';

/** What a server lets callers in by. */
export interface Doors {
  readonly credentials: ServerCredentials;
  /** The tokens of this moment; null: none are asked for. */
  readonly access: (() => AccessTable) | null;
  /** For the log. */
  readonly described: { readonly tls: 'off' | 'server' | 'mutual'; readonly tokens: boolean };
  /** Looks at the files now. */
  reload(): Promise<void>;
  close(): void;
}

/** Opens them. @throws KindredError FAILED_PRECONDITION when a file cannot be used. */
export function openDoors(security: ServerSecurity, logger: Logger): Doors {
  const { certFile, keyFile, clientCaFile, accessFile, reloadMs: intervalMs } = security;
  const certificates =
    certFile === null
      ? null
      : serverCertificates(
          { certFile, keyFile, caFile: clientCaFile },
          {
            intervalMs,
            onReplaced: ({ fingerprint, validTo }) =>
              logger.info({ fingerprint, validTo }, 'new connections get the new certificate'),
            onRejected: (error) =>
              logger.error(
                { reason: error.message },
                'the replaced certificate cannot be used; the one before it stays in use',
              ),
          },
        );
  const access =
    accessFile === null
      ? null
      : watchAccessFile(accessFile, {
          intervalMs,
          onReplaced: ({ names }) => logger.info({ names }, 'the replaced access file is in use'),
          onRejected: (error) =>
            logger.error(
              { reason: error.message },
              'the replaced access file cannot be used; the one before it stays in use',
            ),
        });
  const tls = certFile === null ? 'off' : clientCaFile === null ? 'server' : 'mutual';
  return {
    credentials: certificates?.credentials ?? plaintextServer(),
    access: access === null ? null : () => access.current(),
    described: { tls, tokens: access !== null },
    reload: async () => {
      await Promise.all([certificates?.files.check(), access?.check()]);
    },
    close() {
      certificates?.files.close();
      access?.close();
    },
  };
}

/** Limits and pings of a server's connections. */
export function channelOptions(network: NetworkConfig): ChannelOptions {
  const { maxConnectionAgeMs, maxConnectionAgeGraceMs = 0, maxConnectionStreams = 1000 } = network;
  return {
    'grpc.max_receive_message_length': maxMessageBytes,
    'grpc.max_send_message_length': maxMessageBytes,
    'grpc.max_concurrent_streams': maxConnectionStreams,
    'grpc.keepalive_time_ms': 10_000,
    'grpc.keepalive_timeout_ms': 5_000,
    ...(maxConnectionAgeMs > 0 ? { 'grpc.max_connection_age_ms': maxConnectionAgeMs } : {}),
    ...(maxConnectionAgeGraceMs > 0 ? { 'grpc.max_connection_age_grace_ms': maxConnectionAgeGraceMs } : {}),
  };
}
