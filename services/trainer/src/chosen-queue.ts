// Who works on the runs: processes of this service, or Jobs of Kubernetes.
import type { ArtifactStore } from '@kindred/artifact-store';
import { createJobClient } from '@kindred/kubernetes-jobs';
import { tensorFlowOptions, type Config } from './config.js';
import { createLocalExecutor } from './executor.js';
import { createJobQueue } from './job-queue.js';
import { createPodEnds } from './pod-ends.js';
import type { RunEndsOptions } from './run-ends.js';
import { createRunProgress } from './run-progress.js';
import { createRunQueue, type RunQueue } from './run-queue.js';
import type { Turn } from './turn.js';

/** The queue that `KINDRED_TRAINER_EXECUTOR` names. */
export function chosenQueue(config: Config, artifacts: ArtifactStore, ends: RunEndsOptions, turn: Turn): RunQueue {
  const { artifactStore, dataAugmentationAddress, dataRetryMs, storeRetryMs, keepCheckpoints, kubernetes } = config;
  const tensorFlow = tensorFlowOptions(config);
  if (kubernetes !== null) {
    const client = createJobClient(kubernetes);
    const progress = createRunProgress(artifacts);
    const podEnds = createPodEnds(artifacts);
    const settings = { keepCheckpoints, dataRetryMs, storeRetryMs };
    return createJobQueue({ ...ends, ...kubernetes, client, progress, tensorFlow, turn, settings, podEnds });
  }
  const executor = createLocalExecutor({ artifactStore, dataAugmentationAddress, dataRetryMs, storeRetryMs });
  return createRunQueue({ ...ends, executor, tensorFlow, keepCheckpoints });
}
