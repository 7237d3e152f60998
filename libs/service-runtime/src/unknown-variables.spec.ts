import { describe, expect, it } from 'vitest';
import { networkFields, startService } from './index.js';
import { createLogger } from './logger.js';
import { unknownVariables } from './unknown-variables.js';

const schema = {
  ...networkFields('embedding').schema,
  KINDRED_EMBEDDING_MAX_BATCH: null,
  KINDRED_EMBEDDING_MAX_IMAGES: null,
};

describe('variables that a service does not know', () => {
  it('are told with the nearest one that it knows', () => {
    const environment = {
      ...{ KINDRED_EMBEDDING_MAX_BACTH: '3', KINDRED_EMBEDDING_HOTS: 'x', KINDRED_EMBEDDING_MAX_IMAGE: '1' },
      ...{ KINDRED_EMBEDDING_MAX_BATCH: '3', KINDRED_EMBEDDING_PORTS: '', PATH: '/bin' },
    };
    expect(unknownVariables('embedding', environment, schema)).toEqual([
      { name: 'KINDRED_EMBEDDING_HOTS', nearest: 'KINDRED_EMBEDDING_HOST' },
      { name: 'KINDRED_EMBEDDING_MAX_BACTH', nearest: 'KINDRED_EMBEDDING_MAX_BATCH' },
      { name: 'KINDRED_EMBEDDING_MAX_IMAGE', nearest: 'KINDRED_EMBEDDING_MAX_IMAGES' },
    ]);
  });

  it('are neither addresses, nor other services’, nor what Kubernetes tells of Services', () => {
    const environment = {
      KINDRED_EMBEDDING_ADDR: 'embedding:50053',
      KINDRED_TRAINER_THREADS: '2',
      KINDRED_EMBEDDING_SERVICE_HOST: '10.0.0.1',
      KINDRED_EMBEDDING_SERVICE_PORT: '50053',
      KINDRED_EMBEDDING_SERVICE_PORT_GRPC: '50053',
      KINDRED_EMBEDDING_HTTP_PORT: 'tcp://10.0.0.1:9053',
      KINDRED_EMBEDDING_PORT_53_TCP: 'tcp://10.0.0.1:53',
      KINDRED_EMBEDDING_PORT_53_TCP_ADDR: '10.0.0.1',
      KINDRED_EMBEDDING_PORT_53_TCP_PORT: '53',
      KINDRED_EMBEDDING_PORT_53_TCP_PROTO: 'tcp',
    };
    expect(unknownVariables('embedding', environment, schema)).toEqual([]);
  });

  it('are warned of as the service starts', async () => {
    const lines: string[] = [];
    const unknown = [{ name: 'KINDRED_EMBEDDING_MAX_BACTH', nearest: 'KINDRED_EMBEDDING_MAX_BATCH' }];
    const service = await startService({
      name: 'embedding',
      network: {
        ...{ host: '127.0.0.1', port: 0, metricsPort: 0, drainMs: 0, maxConnectionAgeMs: 0 },
        unknownVariables: unknown,
      },
      register: () => {},
      logger: createLogger('embedding', 'warn', { write: (line) => void lines.push(line) }),
    });
    await service.close();
    expect(lines.map((line) => JSON.parse(line) as { variable?: string; msg: string })).toContainEqual(
      expect.objectContaining({
        variable: 'KINDRED_EMBEDDING_MAX_BACTH',
        msg: expect.stringContaining('KINDRED_EMBEDDING_MAX_BATCH?') as string,
      }),
    );
  });
});
