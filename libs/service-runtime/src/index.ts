// One way to be a service, and one way to call one.
export { startService } from './service.js';
export type { RunningService, ServiceOptions, ServiceRegistrar } from './service.js';
export { fields, readConfig } from './config.js';
export { networkFields, type NetworkConfig } from './network-config.js';
export { connect } from './client.js';
export { HealthDefinition } from 'nice-grpc-server-health';
export type { ConnectOptions, Connection } from './client.js';
export { createJobs } from './jobs.js';
export type { Job, JobContext, JobState, Jobs } from './jobs.js';
export { createLogger } from './logger.js';
export { runMain } from './run-main.js';
export type { Logger } from './logger.js';
export { bytesOf, float32Of, int32Of, uint32Of, uint64Of } from './wire.js';
export { defaultServiceAddress, services, serviceAddressVariable } from './services.js';
export type { ServiceName } from './services.js';
export { Counter, Gauge, Histogram } from 'prom-client';
