// Jobs of a Kubernetes namespace. The one library that imports @kubernetes/client-node.
export { createJobClient } from './job-client.js';
export type { JobClient, JobClientOptions, JobsListener } from './job-client.js';
export type { JobManifest, JobState, PodState, Reason } from './job-state.js';
export type { ListFollower } from './list-follower.js';
