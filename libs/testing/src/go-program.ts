// Programs in Go that tests run: from the cache, or built there first.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { checkoutRoot } from './golden.js';

/** Programs that `tools/setup` can build. */
export type GoProgramName =
  | 'minio'
  | 'mc'
  | 'versitygw'
  | 'toxiproxy'
  | 'grpcurl'
  | 'ghz'
  | 'weaviate'
  | 'etcd'
  | 'kube-apiserver'
  | 'kube-scheduler'
  | 'kube-controller-manager'
  | 'kubectl'
  | 'kwok'
  | 'kustomize'
  | 'kubeconform'
  | 'kube-score';

/** What `tools/setup/go-program.mjs` ends with when a registry cannot be reached. */
const unreachableCode = 5;

/**
 * The path of a program that `tools/setup` can build (minutes for the largest, once a machine); null, with a loud line,
 * where the registry cannot be reached: tests of it are then skipped.
 */
export async function goProgram(name: GoProgramName): Promise<string | null> {
  const script = join(checkoutRoot(), 'tools/setup/go-program.mjs');
  const child = spawn(process.execPath, [script, name], { stdio: ['ignore', 'pipe', 'inherit'] });
  let path = '';
  child.stdout.on('data', (part: Buffer) => (path += part.toString()));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  if (code === 0) return path.trim();
  if (code !== unreachableCode) throw new Error(`${name} could not be built: exit code ${code}, the reason is above`);
  process.stderr.write(`\n!!! SKIPPED: all tests that need ${name}, since it could not be fetched here\n\n`);
  return null;
}
