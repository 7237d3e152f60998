// What the environment says about the Weaviate cluster.
import { readFileSync } from 'node:fs';
import { KindredError, invalidField } from '@kindred/errors';
import { fields } from '@kindred/service-runtime';
import type { WeaviateAddress } from '@kindred/weaviate';
import type { WeaviateSettings } from './cluster.js';

const prefix = 'KINDRED_NEIGHBOR_INDEX_WEAVIATE';
const nodesVariable = `${prefix}_NODES`;
const defaultPorts = { http: 8080, grpc: 50_051 } as const;

/** The variables. */
export const weaviateFields = {
  [nodesVariable]: fields.texts().optional(),
  [`${prefix}_TLS`]: fields.flag().default(false),
  [`${prefix}_KEY_FILE`]: fields.text().optional(),
  [`${prefix}_REPLICAS`]: fields.integer(1, 7).optional(),
  [`${prefix}_CONSISTENCY`]: fields.choice('all', 'quorum', 'one').default('all'),
  [`${prefix}_PREFIX`]: fields.text().default('Kindred'),
} as const;

/** The settings; null where no node is named: the service then runs without the engine. INVALID_ARGUMENT names the variable. */
export function readWeaviateSettings(values: Readonly<Record<string, unknown>>): WeaviateSettings | null {
  const nodes = ((values[nodesVariable] as string[] | undefined) ?? []).map(addressOf);
  if (nodes.length === 0) return null;
  const classPrefix = values[`${prefix}_PREFIX`] as string;
  if (!/^[A-Z][A-Za-z0-9]{0,63}$/.test(classPrefix)) {
    throw invalidField(`${prefix}_PREFIX`, `got '${classPrefix}'; allowed: a capital letter, then letters and digits`);
  }
  const keyFile = values[`${prefix}_KEY_FILE`] as string | undefined;
  return {
    nodes,
    tls: values[`${prefix}_TLS`] as boolean,
    apiKey: keyFile === undefined ? null : keyOf(keyFile),
    replicas: (values[`${prefix}_REPLICAS`] as number | undefined) ?? Math.min(3, nodes.length),
    consistency: values[`${prefix}_CONSISTENCY`] as WeaviateSettings['consistency'],
    prefix: classPrefix,
  };
}

/** `host[:http port[:gRPC port]]`; IPv6 in brackets. */
function addressOf(text: string): WeaviateAddress {
  const [, host = '', http, grpc] = /^(\[[^\]]+\]|[^:]+)(?::(\d{1,5})(?::(\d{1,5}))?)?$/.exec(text) ?? [];
  const ports = [Number(http ?? defaultPorts.http), Number(grpc ?? defaultPorts.grpc)] as const;
  if (host === '' || ports.some((port) => port < 1 || port > 65_535)) {
    throw invalidField(nodesVariable, `got '${text}'; allowed: host, host:PORT or host:PORT:GRPC_PORT`);
  }
  return { host, httpPort: ports[0], grpcPort: ports[1] };
}

function keyOf(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (cause) {
    throw new KindredError('INVALID_ARGUMENT', `${prefix}_KEY_FILE: '${file}' cannot be read; name a readable file`, {
      cause,
    });
  }
}
