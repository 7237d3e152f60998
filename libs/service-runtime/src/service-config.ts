// What the settings of all services have in common: those of the network, names that are none, and settings that depend on each other.
import { invalidField } from '@kindred/errors';
import type { z } from 'zod';
import { readConfig } from './config.js';
import { networkFields, type NetworkConfig } from './network-config.js';
import type { ServiceName } from './services.js';
import { unknownVariables } from './unknown-variables.js';

/** A service's settings as they were read. */
export interface ServiceConfig<S extends z.ZodRawShape> {
  readonly network: NetworkConfig;
  /** By the keys of its own schema. */
  readonly values: Readonly<z.output<z.ZodObject<S>>>;
}

/**
 * Reads the variables named by the keys of `own`, and those of the service's network, from `environment`.
 * @throws KindredError INVALID_ARGUMENT that names each variable that cannot be used.
 */
export function readServiceConfig<S extends z.ZodRawShape>(
  name: ServiceName,
  environment: Readonly<Record<string, string | undefined>>,
  own: S,
): ServiceConfig<S> {
  const { schema, read } = networkFields(name);
  const whole = { ...schema, ...own };
  const values = readConfig(environment, whole);
  const network = { ...read(values), unknownVariables: unknownVariables(name, environment, whole) };
  return { network, values: values as unknown as ServiceConfig<S>['values'] };
}

/** @throws KindredError INVALID_ARGUMENT where the setting `name` is less than the setting `least`; `aim`: what it is for. */
export function requireAtLeast(
  values: Readonly<Record<string, unknown>>,
  name: string,
  least: string,
  aim: string,
): void {
  const [got, allowed] = [values[name] as number, values[least] as number];
  if (got < allowed) throw invalidField(name, `got ${got}; allowed: ${allowed} (${least}) and more, so that ${aim}`);
}
