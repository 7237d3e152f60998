// Jobs of a Kubernetes namespace, and a Lease that says which process cares for them. The one library that imports @kubernetes/client-node.
export { createJobClient } from './job-client.js';
export type { JobClient, JobWarning, JobsListener } from './job-client.js';
export type { ApiOptions } from './api-calls.js';
export { createLeaseCalls } from './lease-calls.js';
export { holdLease } from './lease.js';
export type { Lease, LeaseCalls, LeaseChange, LeaseOptions, LeaseState } from './lease.js';
export type { JobManifest, JobState, PodState, Reason } from './job-state.js';
export type { ListFollower } from './list-follower.js';
