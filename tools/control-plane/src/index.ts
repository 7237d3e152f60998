// A Kubernetes control plane on loopback, and nodes: kwok's, whose pods are no processes, and one whose pods are.
export { startControlPlane, until } from './control-plane.js';
export type { ControlPlane, ControlPlaneOptions, KubectlResult } from './control-plane.js';
export { controlPlanePrograms } from './programs.js';
export type { ControlPlanePrograms } from './programs.js';
export { defaultNodes, nodeObject } from './node.js';
export type { NodeDescription } from './node.js';
export { startProcessNode } from './process-node.js';
export type { ProcessNode, ProcessNodeOptions } from './process-node.js';
export { ApiError } from './api-client.js';
export type { ApiClient, ApiObject, WatchEvent } from './api-client.js';
