// The ten classes of the drawn set: what fills each shape (a texture) and its outline. Coordinates are in pixels from the centre.
import { gridRandom } from './hash-random.js';

/** Frame of one texture: pixels per period, phase in radians, and a key for grainy textures. */
export interface TextureFrame {
  readonly period: number;
  readonly phase: number;
  readonly key: number;
}

/** One class of the drawn set. */
export interface DrawnClass {
  readonly name: string;
  /** 0 … 1 at a point in pixels; smooth, so that nothing aliases at 32 × 32. */
  readonly texture: (x: number, y: number, frame: TextureFrame) => number;
  /** Above 0 inside the outline; (x, y) in units of the shape's radius. */
  readonly outline: (x: number, y: number) => number;
}

const wave = (value: number): number => 0.5 + 0.5 * Math.sin(value);
const angular = (t: number, { period, phase }: TextureFrame): number => (2 * Math.PI * t) / period + phase;
const sharpen = (value: number): number => Math.min(1, Math.max(0, 0.5 + (value - 0.5) * 1.8));

const disc = (x: number, y: number): number => 1 - Math.hypot(x, y);
const square = (x: number, y: number): number => 0.9 - Math.max(Math.abs(x), Math.abs(y));
const diamond = (x: number, y: number): number => 1.15 - Math.abs(x) - Math.abs(y);
const cross = (x: number, y: number): number =>
  Math.max(0.45 - Math.abs(x), 0.45 - Math.abs(y), -1) + Math.min(0, square(x, y));
const triangle = (x: number, y: number): number => Math.min(0.75 - y, y + 1 - 1.7 * Math.abs(x));
const star = (x: number, y: number): number => 0.78 + 0.24 * Math.cos(5 * Math.atan2(y, x)) - Math.hypot(x, y);
const flower = (x: number, y: number): number => 0.85 + 0.15 * Math.cos(7 * Math.atan2(y, x)) - Math.hypot(x, y);
const hexagon = (x: number, y: number): number => 0.95 - Math.max(Math.abs(x), Math.abs(x) / 2 + Math.abs(y) * 0.866);
const lens = (x: number, y: number): number => 1 - Math.hypot(x, 1.35 * y);
const ring = (x: number, y: number): number => 0.38 - Math.abs(0.64 - Math.hypot(x, y));

/** The classes in label order. */
export const drawnClasses: readonly DrawnClass[] = [
  { name: 'level-striped disc', outline: disc, texture: (_x, y, f) => sharpen(wave(angular(y, f))) },
  { name: 'upright-striped square', outline: square, texture: (x, _y, f) => sharpen(wave(angular(x, f))) },
  {
    name: 'checked diamond',
    outline: diamond,
    texture: (x, y, f) => sharpen(0.5 + 0.5 * Math.sin(angular(x, f)) * Math.sin(angular(y, f) - f.phase)),
  },
  {
    name: 'slant-striped triangle',
    outline: triangle,
    texture: (x, y, f) => sharpen(wave(angular((x + (f.key & 1 ? y : -y)) * Math.SQRT1_2, f))),
  },
  {
    name: 'dotted star',
    outline: star,
    texture: (x, y, f) => sharpen(1.6 * wave(angular(x, f)) * wave(angular(y, f)) - 0.1),
  },
  {
    name: 'ringed flower',
    outline: flower,
    texture: (x, y, f) => sharpen(wave(angular(Math.hypot(x, y), f))),
  },
  { name: 'grainy hexagon', outline: hexagon, texture: (x, y, f) => gridRandom(f.key, Math.floor(x), Math.floor(y)) },
  {
    name: 'blotched lens',
    outline: lens,
    texture: (x, y, f) => sharpen(valueNoise(x / f.period, y / f.period, f.key)),
  },
  {
    name: 'latticed cross',
    outline: cross,
    texture: (x, y, f) => Math.max(wave(angular(x, f)) ** 6, wave(angular(y, f)) ** 6),
  },
  { name: 'plain ring', outline: ring, texture: () => 0.5 },
];

/** Smooth noise: random values on the whole grid points, bicubic-eased between them. */
export function valueNoise(x: number, y: number, key: number): number {
  const left = Math.floor(x);
  const top = Math.floor(y);
  const u = ease(x - left);
  const v = ease(y - top);
  const upper = gridRandom(key, left, top) * (1 - u) + gridRandom(key, left + 1, top) * u;
  const lower = gridRandom(key, left, top + 1) * (1 - u) + gridRandom(key, left + 1, top + 1) * u;
  return upper * (1 - v) + lower * v;
}

function ease(t: number): number {
  return t * t * (3 - 2 * t);
}
