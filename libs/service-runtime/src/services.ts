// The four services by name, with everything that is derived from the name.

/** The services and the ports that they listen on by default (gRPC, and HTTP for metrics and liveness). */
export const services = {
  'data-augmentation': { port: 50051, metricsPort: 9051 },
  trainer: { port: 50052, metricsPort: 9052 },
  embedding: { port: 50053, metricsPort: 9053 },
  'neighbor-index': { port: 50054, metricsPort: 9054 },
} as const;

/** Name of one of the {@link services}. */
export type ServiceName = keyof typeof services;

/** The environment variable that holds a service's address for its callers, e.g. `KINDRED_NEIGHBOR_INDEX_ADDR`. */
export function serviceAddressVariable(name: ServiceName): string {
  return `${variablePrefix(name)}_ADDR`;
}

/** Where a service listens when nothing else is said, as `host:port`. */
export function defaultServiceAddress(name: ServiceName): string {
  return `127.0.0.1:${services[name].port}`;
}

/** Prefix of a service's own environment variables, e.g. `KINDRED_NEIGHBOR_INDEX`. */
export function variablePrefix(name: ServiceName): string {
  return `KINDRED_${name.toUpperCase().replaceAll('-', '_')}`;
}
