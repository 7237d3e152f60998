// The four services as processes, called once each, and what they then tell Prometheus.
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { EmbeddingServiceDefinition } from '@kindred/protocol/embedding';
import { connect, openClient, serviceAddressVariable, services, type ServiceName } from '@kindred/service-runtime';
import { checkoutRoot } from './manifest-files.js';

/** What a service exports. */
export interface Exported {
  /** Type by name: `counter`, `gauge`, `histogram`, `summary`. */
  readonly types: ReadonlyMap<string, string>;
  /** Labels and their values, of those series that there are, by the series' name. */
  readonly series: ReadonlyMap<string, readonly ReadonlyMap<string, string>[]>;
}

/** Starts each built service in `folder`, calls it, reads its metrics and ends it. */
export async function scrapeServices(folder: string): Promise<Map<ServiceName, Exported>> {
  const names = Object.keys(services) as ServiceName[];
  return new Map(await Promise.all(names.map(async (name) => [name, await scrape(name, folder)] as const)));
}

async function scrape(name: ServiceName, folder: string): Promise<Exported> {
  const prefix = serviceAddressVariable(name).replace(/_ADDR$/, '');
  const child = fork(join(checkoutRoot, 'dist/services', name, 'main.js'), [], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: {
      ...process.env,
      KINDRED_LOG_LEVEL: 'fatal',
      KINDRED_ARTIFACT_STORE: join(folder, 'artifacts'),
      KINDRED_NEIGHBOR_INDEX_DATA: join(folder, 'collections'),
      [`${prefix}_PORT`]: '0',
      [`${prefix}_METRICS_PORT`]: '0',
    },
  });
  try {
    const { address, metricsAddress } = await readiness(name, child);
    if (name === 'embedding') await callEmbedding(address);
    return parse(await (await fetch(`http://${metricsAddress}/metrics`)).text());
  } finally {
    const gone = once(child, 'exit');
    if (child.kill('SIGTERM')) await gone;
  }
}

interface Ready {
  readonly address: string;
  readonly metricsAddress: string;
}

async function readiness(name: string, child: ChildProcess): Promise<Ready> {
  const ended = once(child, 'exit').then(([code]) => Promise.reject(new Error(`${name} ended with ${code}`)));
  const [message] = await Promise.race([once(child, 'message'), ended]);
  return message as Ready;
}

/** A call that is answered and one that fails, so that series of both kinds are there. */
async function callEmbedding(address: string): Promise<void> {
  const { client, close } = connect(EmbeddingServiceDefinition, {
    service: 'embedding',
    address,
    security: openClient,
  });
  try {
    await client.listModels({});
    await client
      .embed({ model: 'nothing-of-this-name', images: { $case: 'encoded', value: { images: [new Uint8Array(1)] } } })
      .catch(() => {});
  } finally {
    close();
  }
}

/** Reads Prometheus' text format as far as our services write it. */
export function parse(text: string): Exported {
  const types = new Map<string, string>();
  const series = new Map<string, ReadonlyMap<string, string>[]>();
  for (const line of text.split('\n')) {
    const [, typed = '', type = ''] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? [];
    if (typed !== '') types.set(typed, type);
    const [, name = '', labels = ''] = /^([a-z_][a-z0-9_]*)(?:\{(.*)\})? \S+/i.exec(line) ?? [];
    if (name === '') continue;
    const pairs = [...labels.matchAll(/([a-z_]+)="([^"]*)"/gi)].map(
      ([, label = '', value = '']) => [label, value] as const,
    );
    series.set(name, [...(series.get(name) ?? []), new Map(pairs)]);
  }
  return { types, series };
}
