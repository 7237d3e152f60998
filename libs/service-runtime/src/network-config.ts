// The settings that every service has: where it listens, how much it says.
import { fields } from './config.js';
import { services, variablePrefix, type ServiceName } from './services.js';
import type { z } from 'zod';

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
  /** Age in milliseconds after which connections are closed gently so that clients find new replicas; 0: never. */
  readonly maxConnectionAgeMs: number;
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
    KINDRED_MAX_CONNECTION_AGE_MS: fields.integer(0, 86_400_000).default(0),
  } as Record<string, z.ZodType>;
  const read = (values: Readonly<Record<string, unknown>>): NetworkConfig => ({
    host: values[`${prefix}_HOST`] as string,
    port: values[`${prefix}_PORT`] as number,
    metricsPort: values[`${prefix}_METRICS_PORT`] as number,
    drainMs: values['KINDRED_DRAIN_MS'] as number,
    maxConnectionAgeMs: values['KINDRED_MAX_CONNECTION_AGE_MS'] as number,
  });
  return { schema, read };
}
