// What a run came to, and what it comes to as a child process of a trainer: the same, bit for bit.
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { TrainingServiceDefinition, type RunEvent } from '@kindred/protocol/training';
import { connect } from '@kindred/service-runtime';
import { eventContent } from '@kindred/testing';
import { experiment, runSeed, smallRun } from './kubernetes-scene.js';
import { startRestartedService } from './restarted-service.js';

/** All that must be the same in every run. */
export interface RunOutcome {
  readonly weights: string;
  readonly lastCheckpoint: string;
  readonly events: unknown;
}

/** Of a run in a store, with the events that a trainer tells of it. */
export function outcomeOf(store: string, runId: string, events: readonly RunEvent[]): RunOutcome {
  const runs = join(store, 'runs', runId);
  // A run's id is part of its events' keys and of the model's origin.
  const text = JSON.stringify(events.map(eventContent), (_, value: unknown) =>
    typeof value === 'bigint' ? String(value) : value,
  );
  const own = text.replaceAll(`runs/${runId}/`, 'runs/RUN/');
  const last = readdirSync(join(runs, 'checkpoints')).sort().at(-1) ?? '';
  return {
    // Without its header, which names the run.
    weights: sha256(weightsOf(readFileSync(join(runs, 'model.safetensors')))),
    lastCheckpoint: `${last} ${sha256(readFileSync(join(runs, 'checkpoints', last)))}`,
    events: JSON.parse(own) as unknown,
  };
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The tensors of a safetensors file: what follows its header, whose length is its first 8 bytes. */
function weightsOf(file: Buffer): Uint8Array {
  return file.subarray(8 + Number(file.readBigUInt64LE(0)));
}

/** The same run as a child process of a trainer of its own. */
export async function undisturbed(store: string, augmentationAddress: string): Promise<RunOutcome> {
  const trainer = await startRestartedService('trainer', {
    KINDRED_ARTIFACT_STORE: store,
    KINDRED_DATA_AUGMENTATION_ADDR: augmentationAddress,
    KINDRED_TRAINER_THREADS: '1',
  });
  const { client, close } = connect(TrainingServiceDefinition, { service: 'trainer', address: trainer.address });
  await client.startRun({ runId: 'local', experiment, overrides: smallRun, seed: runSeed });
  const events: RunEvent[] = [];
  for await (const { content } of client.watchRun({ runId: 'local' })) {
    if (content?.$case === 'event') events.push(content.value);
  }
  close();
  await trainer.stop();
  return outcomeOf(store, 'local', events);
}
