// The drawn set: ten classes of textured shapes, 32×32, drawn by formula from a seed, so that a demo needs no download.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { invalidField } from '@kindred/errors';
import { createImageTable } from './dataset.js';
import type { DatasetParts } from './dataset.js';
import { drawnClasses, valueNoise } from './drawn-classes.js';
import { imageRandom } from './hash-random.js';
import type { ImageRandom } from './hash-random.js';
import { throwIfAborted, unknownSplit } from './open-options.js';
import type { OpenDatasetOptions } from './open-options.js';

const side = 32;
const imageBytes = side * side * 3;
const imagesPerTurn = 64;

/** Splits of the drawn set; `val` and `test` are the same images. */
export const drawnSplits = ['train', 'val', 'test'] as const;

/** Images per split at most: about two minutes of drawing and 300 MB. */
export const drawnMaxCount = 100_000;

/** Images per split unless the caller says otherwise. */
export const drawnDefaultCount: Readonly<Record<'train' | 'val', number>> = { train: 4000, val: 1000 };

/**
 * Draws a split. Classes take turns (label = index mod 10). Colour, brightness, contrast, place, size, tilt, background and
 * noise are random in each image and say nothing about its class: texture and outline alone do.
 */
export async function drawDataset(options: OpenDatasetOptions): Promise<DatasetParts> {
  const { name, split, seed = 0, onProgress, signal } = options;
  if (!(drawnSplits as readonly string[]).includes(split)) throw unknownSplit(name, split, drawnSplits);
  const part = split === 'train' ? 'train' : 'val';
  const count = options.count ?? drawnDefaultCount[part];
  if (!Number.isSafeInteger(count) || count < 1 || count > drawnMaxCount) {
    throw invalidField('count', `got ${count}; allowed: 1 to ${drawnMaxCount} drawn images`);
  }
  const table = createImageTable(count, () => ({ height: side, width: side }));
  for (let i = 0; i < count; i++) {
    table.labels[i] = i % drawnClasses.length;
    drawImage(seed, part, i, table.pixels.subarray(i * imageBytes, (i + 1) * imageBytes));
    if (i % imagesPerTurn === imagesPerTurn - 1 || i === count - 1) {
      throwIfAborted(signal, name);
      onProgress?.({ phase: 'draw', done: i + 1, total: count });
      await nextTurn();
    }
  }
  return { name, split, classNames: drawnClasses.map((drawn) => drawn.name), table };
}

/** Draws image `index` into 3,072 bytes of rows of RGB pixels. */
export function drawImage(seed: number, split: 'train' | 'val', index: number, pixels: Uint8Array): void {
  const drawn = drawnClasses[index % drawnClasses.length];
  if (drawn === undefined) return;
  const random = imageRandom(seed, split === 'train' ? 1 : 2, index);
  const radius = random.between(10, 17);
  const centreX = side / 2 + random.between(-4, 4);
  const centreY = side / 2 + random.between(-4, 4);
  const tilt = random.between(-0.2, 0.2);
  const spin = random.between(-0.5, 0.5);
  const frame = { period: random.between(4.2, 5.8), phase: random.between(0, 2 * Math.PI), key: random.below(2 ** 31) };
  const light = drawLight(random);
  const noiseKey = random.below(2 ** 31);
  const cos = Math.cos(tilt);
  const sin = Math.sin(tilt);
  const cosOutline = Math.cos(spin) / radius;
  const sinOutline = Math.sin(spin) / radius;
  for (let y = 0, at = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const dx = x - centreX;
      const dy = y - centreY;
      const edge = drawn.outline(cosOutline * dx + sinOutline * dy, cosOutline * dy - sinOutline * dx) * radius;
      const inside = Math.min(1, Math.max(0, edge + 0.5));
      const texture = drawn.texture(cos * dx + sin * dy, cos * dy - sin * dx, frame);
      const shade = 1 + light.slope * (dx * light.slopeX + dy * light.slopeY);
      const cloud = light.cloud * (valueNoise(x / 9, y / 9, noiseKey) - 0.5);
      for (let channel = 0; channel < 3; channel++) {
        const figure = light.dark[channel]! * (1 - texture) + light.bright[channel]! * texture;
        const value = inside * figure + (1 - inside) * (light.ground[channel]! + cloud);
        const grain = light.grain * (random.between(-1, 1) + random.between(-1, 1));
        pixels[at++] = Math.min(255, Math.max(0, Math.round(255 * (value * shade + grain))));
      }
    }
  }
}

interface Light {
  readonly dark: readonly number[];
  readonly bright: readonly number[];
  readonly ground: readonly number[];
  readonly slope: number;
  readonly slopeX: number;
  readonly slopeY: number;
  readonly cloud: number;
  readonly grain: number;
}

/** Colours and lighting, drawn alike for every class. */
function drawLight(random: ImageRandom): Light {
  const middle = random.between(0.3, 0.7);
  const swing = random.between(0.14, 0.3);
  const tint = [0, 1, 2].map(() => random.between(-0.12, 0.12));
  const groundLevel = random.between(0.15, 0.85);
  const angle = random.between(0, 2 * Math.PI);
  return {
    dark: tint.map((offset) => middle - swing + offset),
    bright: tint.map((offset) => middle + swing + offset),
    ground: [0, 1, 2].map(() => groundLevel + random.between(-0.12, 0.12)),
    slope: random.between(0, 0.015),
    slopeX: Math.cos(angle),
    slopeY: Math.sin(angle),
    cloud: random.between(0, 0.35),
    grain: random.between(0, 0.03),
  };
}
