import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@kindred/testing';
import { expect, it } from 'vitest';
import { loadConfig } from '../config.js';

const folder = temporaryFolder('weaviate-settings');
const name = (rest: string): string => `KINDRED_NEIGHBOR_INDEX_WEAVIATE_${rest}`;

it('are absent unless nodes are named', () => {
  expect(loadConfig({}).weaviate).toBeNull();
  expect(loadConfig({ [name('REPLICAS')]: '2' }).weaviate).toBeNull();
});

it('name nodes, with Weaviate’s ports where none are given', () => {
  writeFileSync(join(folder, 'key'), 'secret\n');
  const { weaviate } = loadConfig({ [name('NODES')]: 'a, b:1, [::1]:2:3', [name('KEY_FILE')]: join(folder, 'key') });
  expect(weaviate).toEqual({
    nodes: [
      { host: 'a', httpPort: 8080, grpcPort: 50_051 },
      { host: 'b', httpPort: 1, grpcPort: 50_051 },
      { host: '[::1]', httpPort: 2, grpcPort: 3 },
    ],
    tls: false,
    apiKey: 'secret',
    replicas: 3,
    consistency: 'all',
    prefix: 'Kindred',
  });
});

it.each([
  ['NODES', 'a:b'],
  ['NODES', 'a:99999'],
  ['REPLICAS', '0'],
  ['CONSISTENCY', 'most'],
  ['PREFIX', 'kindred'],
  ['KEY_FILE', '/nowhere/key'],
])('refuse %s=%s', (variable, value) => {
  expect(() => loadConfig({ [name('NODES')]: 'a', [name(variable)]: value })).toThrow(name(variable));
});
