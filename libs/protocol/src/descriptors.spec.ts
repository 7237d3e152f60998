import { expect, it } from 'vitest';
import {
  AugmentationServiceDefinition,
  StreamBatchesResponse,
} from './generated/kindred/augmentation/v1/augmentation.js';
import { RunEvent } from './generated/kindred/training/v1/training.js';
import { readDescriptorSet } from './index.js';

it('holds every package of the contract', () => {
  const text = Buffer.from(readDescriptorSet()).toString('latin1');
  for (const area of ['augmentation', 'training', 'embedding', 'neighbors'])
    expect(text).toContain(`kindred.${area}.v1`);
  expect(AugmentationServiceDefinition.fullName).toBe('kindred.augmentation.v1.AugmentationService');
});

it('keeps bytes, 64-bit numbers and alternatives across the wire', () => {
  const batch = StreamBatchesResponse.fromPartial({ images: Uint8Array.of(1, 255), count: 1 });
  expect(StreamBatchesResponse.decode(StreamBatchesResponse.encode(batch).finish()).images).toEqual(
    Uint8Array.of(1, 255),
  );
  const event = RunEvent.fromPartial({ number: 2n ** 60n, kind: { $case: 'started', value: { device: 'cpu' } } });
  const back = RunEvent.decode(RunEvent.encode(event).finish());
  expect(back.number).toBe(2n ** 60n);
  expect(back.kind).toMatchObject({ $case: 'started', value: { device: 'cpu' } });
});
