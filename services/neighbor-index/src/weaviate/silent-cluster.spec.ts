// A service whose cluster does not answer: the other collections work, and no name is given twice.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CollectionState, Engine } from '@kindred/protocol/neighbors';
import { HealthDefinition, connect } from '@kindred/service-runtime';
import { freePort, temporaryFolder } from '@kindred/testing';
import { expect, it } from 'vitest';
import { smallSpec } from '../spec/small-collection.js';
import { part, startNeighborIndex, stream } from '../spec/start-neighbor-index.js';

const folder = temporaryFolder('silent-cluster');

it('serves what does not need the cluster, and says what does', async () => {
  const dataFolder = join(folder, 'collections-of-service');
  await mkdir(dataFolder, { recursive: true });
  const spec = { ...smallSpec, engine: 'weaviate', weaviate: { replicas: 1, shards: 1 } };
  const known = [{ collection: 'remote', createTime: new Date(0).toISOString(), spec }];
  await writeFile(join(dataFolder, 'weaviate-collections.json'), JSON.stringify(known));
  const [httpPort, grpcPort] = [await freePort(), await freePort()];
  const server = await startNeighborIndex(folder, {
    weaviate: {
      nodes: [{ host: '127.0.0.1', httpPort, grpcPort }],
      tls: false,
      apiKey: null,
      replicas: 1,
      consistency: 'all',
      prefix: 'Kindred',
    },
  });
  try {
    const { client } = server;
    expect((await client.getInfo({})).engines).toEqual([Engine.EMBEDDED, Engine.WEAVIATE]);
    await client.createCollection({ collection: 'here', config: { dimension: 1 } });
    await client.upsert(stream(part('here', [1], Float32Array.of(1))));
    const { collections } = await client.listCollections({});
    expect(collections.map(({ collection, state, size }) => [collection, state, size])).toEqual([
      ['here', CollectionState.READY, 1n],
      ['remote', CollectionState.LOADING, 0n],
    ]);
    const health = connect(HealthDefinition, { service: 'neighbor-index', address: server.address });
    const serving = async (name: string) => (await health.client.check({ service: `collections/${name}` })).status;
    expect([await serving('here'), await serving('remote')]).toEqual([1, 2]);
    health.close();
    await expect(client.count({ collection: 'remote' })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(client.createCollection({ collection: 'remote', config: { dimension: 1 } })).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
    });
  } finally {
    await server.close();
  }
});
