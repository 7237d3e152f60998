// Test support: stand-ins for data-augmentation (drawn images) and neighbor-index (keeps what it is sent).
import { createEvaluationPipeline } from '@kindred/augmentation';
import { openDataset } from '@kindred/datasets';
import { KindredError, notFound } from '@kindred/errors';
import { AugmentationServiceDefinition, type StreamBatchesRequest } from '@kindred/protocol/augmentation';
import { NeighborIndexServiceDefinition, type UpsertRequest } from '@kindred/protocol/neighbors';
import { bytesOf, startService, type RunningService } from '@kindred/service-runtime';

const network = { host: '127.0.0.1', port: 0, metricsPort: 0, drainMs: 200, maxConnectionAgeMs: 0 };
const unused = (): never => {
  throw new KindredError('UNIMPLEMENTED', 'not part of this stand-in');
};

/** A data-augmentation service that knows `drawn` only; it breaks the first stream after `breakAfter` batches. */
export async function startFakeAugmentation(
  breakAfter = Infinity,
): Promise<RunningService & { readonly streams: StreamBatchesRequest[] }> {
  const streams: StreamBatchesRequest[] = [];
  const open = async (reference: { name: string; drawnSize: number } | undefined) => {
    if (reference?.name !== 'drawn') throw notFound('dataset', reference?.name ?? '');
    return openDataset({ name: 'drawn', split: 'train', count: reference.drawnSize });
  };
  const service = await startService({
    name: 'data-augmentation',
    network,
    register: (registrar) =>
      registrar.add(AugmentationServiceDefinition, {
        listDatasets: unused,
        augment: unused,
        getDataset: async ({ dataset }) => ({
          description: { dataset, size: (await open(dataset)).size, height: 32, width: 32 },
        }),
        async *streamBatches(request) {
          streams.push(request);
          const dataset = await open(request.dataset);
          const side =
            request.transformation?.kind?.$case === 'evaluation' ? request.transformation.kind.value.cropSize : 0;
          const pipeline = createEvaluationPipeline({ cropSize: side });
          const batchCount = Math.ceil(dataset.size / request.batchSize);
          for (let batch = request.firstBatch; batch < batchCount; batch++) {
            if (streams.length === 1 && batch === breakAfter)
              throw new KindredError('UNAVAILABLE', 'broken by the test');
            const start = batch * request.batchSize;
            const indices = Uint32Array.from(
              { length: Math.min(request.batchSize, dataset.size - start) },
              (_, i) => start + i,
            );
            const images = new Uint8Array(indices.length * pipeline.viewBytes);
            indices.forEach((index, i) => pipeline.view(dataset.image(index), images, i * pipeline.viewBytes));
            const labels = Int32Array.from(indices, (index) => dataset.labels[index] ?? -1);
            const shape = { count: indices.length, views: 1, height: side, width: side };
            const contentSha256 = batch === request.firstBatch ? dataset.contentHash : '';
            const rest = { indices: bytesOf(indices), labels: bytesOf(labels), contentSha256 };
            yield { batch, batchCount, images, ...shape, ...rest };
          }
        },
      }),
  });
  return Object.assign(service, { streams });
}

/** A neighbor-index service that has one index, `kin`, of dimension 16. */
export async function startFakeNeighborIndex(): Promise<RunningService & { readonly received: UpsertRequest[] }> {
  const received: UpsertRequest[] = [];
  const service = await startService({
    name: 'neighbor-index',
    network,
    register: (registrar) =>
      registrar.add(NeighborIndexServiceDefinition, {
        async getCollection({ collection }) {
          if (collection !== 'kin') throw notFound('collection', collection);
          return { collection: { collection, config: { dimension: 16 } } };
        },
        async upsert(requests) {
          for await (const request of requests) received.push(request);
          return {};
        },
        getInfo: unused,
        createCollection: unused,
        listCollections: unused,
        deleteCollection: unused,
        updateAliases: unused,
        listAliases: unused,
        delete: unused,
        get: unused,
        scroll: unused,
        count: unused,
        search: unused,
        multiSearch: unused,
        searchStream: unused,
        searchByImage: unused,
        classify: unused,
        snapshot: unused,
        listSnapshots: unused,
        restore: unused,
        getStats: unused,
        startMining: unused,
        getMining: unused,
        watchMining: unused,
        cancelMining: unused,
      }),
  });
  return Object.assign(service, { received });
}
