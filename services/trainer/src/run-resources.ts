// What a run may ask a cluster for.
import { invalidField } from '@kindred/errors';
import type * as training from '@kindred/protocol/training';
import type { RunResources } from './run.js';

/** Nothing: all is as the template of the run's Job says. */
export const noResources: RunResources = {
  accelerator: '',
  acceleratorCount: 0,
  cpuMillis: 0,
  memoryBytes: 0,
  priorityClass: '',
};

/** In the place of an accelerator: the run trains on CPUs, also where the template asks for a GPU. */
export const noAccelerator = 'none';

/** An extended resource has a domain, by which it is told from cpu and memory. */
const resourceForm = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\/[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/;
const classForm = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;
const maxAccelerators = 64;

/**
 * Resources of a request, checked; undefined: it asks for none. `inCluster`: whether runs are Jobs here.
 * @throws KindredError INVALID_ARGUMENT naming the field
 */
export function readResources(asked: training.RunResources | undefined, inCluster: boolean): RunResources | undefined {
  if (asked === undefined) return undefined;
  if (!inCluster) {
    throw invalidField(
      'resources',
      "got some; allowed: none, since this trainer's runs are processes of its own machine",
    );
  }
  const { accelerator, acceleratorCount, cpuMillis, priorityClass } = asked;
  const isNamed = namesAccelerator(accelerator);
  if (isNamed && !resourceForm.test(accelerator)) {
    throw invalidField(
      'resources.accelerator',
      `got '${accelerator}'; allowed: an extended resource, e.g. nvidia.com/gpu, or ${noAccelerator}`,
    );
  }
  const allowed = isNamed ? [1, maxAccelerators] : [0, 0];
  if (acceleratorCount < (allowed[0] ?? 0) || acceleratorCount > (allowed[1] ?? 0)) {
    const reason = isNamed ? `of ${accelerator}` : 'without an accelerator';
    throw invalidField(
      'resources.accelerator_count',
      `got ${acceleratorCount}; allowed: ${allowed.join(' to ')} ${reason}`,
    );
  }
  if (asked.memoryBytes > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw invalidField('resources.memory_bytes', `got ${asked.memoryBytes}; allowed: at most 2^53 - 1`);
  }
  if (priorityClass !== '' && !classForm.test(priorityClass)) {
    throw invalidField('resources.priority_class', `got '${priorityClass}'; allowed: the name of a PriorityClass`);
  }
  return { accelerator, acceleratorCount, cpuMillis, memoryBytes: Number(asked.memoryBytes), priorityClass };
}

/** Resources as the contract writes them. */
export function toWireResources(resources: RunResources | undefined): training.RunResources | undefined {
  return resources === undefined ? undefined : { ...resources, memoryBytes: BigInt(resources.memoryBytes) };
}

/** Whether a request names an accelerator, neither none nor the template's. */
export function namesAccelerator(accelerator: string): boolean {
  return accelerator !== '' && accelerator !== noAccelerator;
}
