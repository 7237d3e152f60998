// Which suites there are, and which ones a name means.
import { KindredError } from '@kindred/errors';
import { artifactsSuite } from './artifacts.js';
import { augmentationSuite } from './augmentation.js';
import { compileSuite } from './compilation.js';
import { embeddingLoadSuite, embeddingThroughputSuite } from './embedding.js';
import { endToEndSuite } from './end-to-end.js';
import { gpuSuite, gpuXlaSuite } from './gpu.js';
import { memorySuite } from './memory.js';
import { miningSuite } from './mining.js';
import { neighborsFlatSuite } from './neighbors.js';
import { neighborsRestartSuite } from './neighbors-restart.js';
import { neighborsServiceSuite } from './neighbors-service.js';
import { neighborsWeaviateSuite } from './neighbors-weaviate.js';
import { stepSettingsSuite } from './step-settings.js';
import { stepsSuite } from './steps.js';
import type { Suite } from './suite.js';

/** All that a training run consists of. */
const trainingSuites: readonly Suite[] = [
  stepsSuite,
  endToEndSuite,
  augmentationSuite,
  miningSuite,
  memorySuite,
  compileSuite,
];

/** All about the embedding service. */
const embeddingSuites: readonly Suite[] = [embeddingThroughputSuite, embeddingLoadSuite];

/** All about the neighbour index. */
const neighborSuites: readonly Suite[] = [
  neighborsFlatSuite,
  neighborsServiceSuite,
  neighborsRestartSuite,
  neighborsWeaviateSuite,
];

/** All suites that run on any machine, in the order in which they run. */
export const allSuites: readonly Suite[] = [
  ...trainingSuites,
  ...embeddingSuites,
  artifactsSuite,
  ...neighborSuites,
  stepSettingsSuite,
];

/** Suites that need a GPU: they run where they are named. */
export const gpuSuites: readonly Suite[] = [gpuSuite, gpuXlaSuite];

const known: readonly Suite[] = [...allSuites, ...gpuSuites];

/** Names that mean several suites. */
export const groups = [
  {
    name: 'training',
    description: 'all that a training run consists of: each of the first six suites',
    suites: trainingSuites,
  },
  { name: 'embedding', description: 'the embedding service under load: both of its suites', suites: embeddingSuites },
  { name: 'neighbors', description: 'the neighbour index: all of its suites', suites: neighborSuites },
] as const;

/** The suites that these names mean, each once; no names: all that run on any machine. NOT_FOUND for a name that there is not. */
export function chooseSuites(names: readonly string[]): readonly Suite[] {
  if (names.length === 0) return allSuites;
  const meant = names.flatMap((name) => {
    const found = groups.find((group) => group.name === name)?.suites ?? known.filter((suite) => suite.name === name);
    if (found.length > 0) return found;
    const allowed = [...groups, ...known].map((choice) => choice.name).join(', ');
    throw new KindredError('NOT_FOUND', `no suite '${name}'; allowed: ${allowed}`);
  });
  return known.filter((suite) => meant.includes(suite));
}
