// The settings that every service has: where it listens, whom it lets in, how it ends, how much it says.
import { KindredError } from '@kindred/errors';
import type { z } from 'zod';
import { fields } from './config.js';
import { services, variablePrefix, type ServiceName } from './services.js';
import { isLoopback } from './client-security.js';
import type { UnknownVariable } from './unknown-variables.js';

/** Whom a service lets in. */
export interface ServerSecurity {
  /** PEM file of the certificate with its chain; null: no TLS. */
  readonly certFile: string | null;
  /** PEM file of its private key. */
  readonly keyFile: string | null;
  /** PEM file of the authorities of client certificates: with it each client must show one (mTLS). */
  readonly clientCaFile: string | null;
  /** File of tokens, names and roles (docs/security.md); null: no token is asked for. */
  readonly accessFile: string | null;
  /** Who may use server reflection. @default open */
  readonly reflection?: 'open' | 'read' | 'off';
  /** Pause between two looks at these files, in milliseconds. @default 5000 */
  readonly reloadMs?: number;
}

/** Where a service listens and how it ends. */
export interface NetworkConfig {
  /** Address to bind. */
  readonly host: string;
  /** gRPC port; 0: any free one. */
  readonly port: number;
  /** HTTP port for metrics and liveness; 0: any free one. */
  readonly metricsPort: number;
  /** Longest wait for calls under way when the service is asked to end, in milliseconds. */
  readonly drainMs: number;
  /** How long health says NOT_SERVING before calls are turned away, in milliseconds. @default 0 */
  readonly drainDelayMs?: number;
  /** Age in milliseconds after which connections are closed gently so that clients find new replicas; 0: never. */
  readonly maxConnectionAgeMs: number;
  /** How long calls on such a connection may go on before it is cut, in milliseconds; 0: as long as they take. @default 0 */
  readonly maxConnectionAgeGraceMs?: number;
  /** Calls at one time on one connection; more wait in the client. @default 1000 */
  readonly maxConnectionStreams?: number;
  /** One log line a call. @default false */
  readonly accessLog?: boolean;
  /** @default plaintext, no tokens */
  readonly security?: ServerSecurity;
  /** Variables that look like settings and are none; the start warns of them. @default none */
  readonly unknownVariables?: readonly UnknownVariable[];
}

/** The environment variables of a service's {@link NetworkConfig}, with defaults, and how to read them out. */
export function networkFields(name: ServiceName) {
  const prefix = variablePrefix(name);
  const defaults = services[name];
  const schema = {
    [`${prefix}_HOST`]: fields.text().default('127.0.0.1'),
    [`${prefix}_PORT`]: fields.port().default(defaults.port),
    [`${prefix}_METRICS_PORT`]: fields.port().default(defaults.metricsPort),
    KINDRED_DRAIN_MS: fields.integer(0, 3_600_000).default(10_000),
    KINDRED_DRAIN_DELAY_MS: fields.integer(0, 600_000).default(0),
    KINDRED_MAX_CONNECTION_AGE_MS: fields.integer(0, 86_400_000).default(0),
    KINDRED_MAX_CONNECTION_AGE_GRACE_MS: fields.integer(0, 86_400_000).default(0),
    KINDRED_MAX_CONNECTION_STREAMS: fields.integer(1, 1_000_000).default(1000),
    KINDRED_ACCESS_LOG: fields.flag().default(false),
    KINDRED_TLS_CERT_FILE: fields.text().optional(),
    KINDRED_TLS_KEY_FILE: fields.text().optional(),
    KINDRED_TLS_CLIENT_CA_FILE: fields.text().optional(),
    KINDRED_ACCESS_FILE: fields.text().optional(),
    KINDRED_REFLECTION: fields.choice('open', 'read', 'off').default('open'),
    KINDRED_PLAINTEXT_TOKENS: fields.flag().default(false),
    KINDRED_RELOAD_MS: fields.integer(100, 3_600_000).default(5000),
  } as Record<string, z.ZodType>;
  const read = (values: Readonly<Record<string, unknown>>): NetworkConfig => {
    const text = (key: string): string | null => (values[key] as string | undefined) ?? null;
    const security: ServerSecurity = {
      certFile: text('KINDRED_TLS_CERT_FILE'),
      keyFile: text('KINDRED_TLS_KEY_FILE'),
      clientCaFile: text('KINDRED_TLS_CLIENT_CA_FILE'),
      accessFile: text('KINDRED_ACCESS_FILE'),
      reflection: values['KINDRED_REFLECTION'] as 'open' | 'read' | 'off',
      reloadMs: values['KINDRED_RELOAD_MS'] as number,
    };
    const host = values[`${prefix}_HOST`] as string;
    checkSecurity(security, host, values['KINDRED_PLAINTEXT_TOKENS'] === true);
    return {
      host,
      port: values[`${prefix}_PORT`] as number,
      metricsPort: values[`${prefix}_METRICS_PORT`] as number,
      drainMs: values['KINDRED_DRAIN_MS'] as number,
      drainDelayMs: values['KINDRED_DRAIN_DELAY_MS'] as number,
      maxConnectionAgeMs: values['KINDRED_MAX_CONNECTION_AGE_MS'] as number,
      maxConnectionAgeGraceMs: values['KINDRED_MAX_CONNECTION_AGE_GRACE_MS'] as number,
      maxConnectionStreams: values['KINDRED_MAX_CONNECTION_STREAMS'] as number,
      accessLog: values['KINDRED_ACCESS_LOG'] as boolean,
      security,
    };
  };
  return { schema, read };
}

/** Contradictions stop the start. */
function checkSecurity(security: ServerSecurity, host: string, plaintextTokens: boolean): void {
  const refuse = (field: string, description: string): never => {
    throw new KindredError('INVALID_ARGUMENT', `${field} ${description}`, { violations: [{ field, description }] });
  };
  const { certFile, keyFile, clientCaFile, accessFile } = security;
  if (certFile !== null && keyFile === null)
    refuse('KINDRED_TLS_KEY_FILE', 'is not set; KINDRED_TLS_CERT_FILE needs the key of its certificate');
  if (keyFile !== null && certFile === null)
    refuse('KINDRED_TLS_CERT_FILE', 'is not set; KINDRED_TLS_KEY_FILE needs the certificate of its key');
  if (clientCaFile !== null && certFile === null)
    refuse(
      'KINDRED_TLS_CLIENT_CA_FILE',
      'is set without KINDRED_TLS_CERT_FILE; clients show certificates over TLS only',
    );
  if (accessFile !== null && certFile === null && !plaintextTokens && !isLoopback(host))
    refuse(
      'KINDRED_ACCESS_FILE',
      `is set without TLS on ${host}, where others could read the tokens; set KINDRED_TLS_CERT_FILE and KINDRED_TLS_KEY_FILE, ` +
        'or KINDRED_PLAINTEXT_TOKENS=1 where the network itself encrypts',
    );
}
