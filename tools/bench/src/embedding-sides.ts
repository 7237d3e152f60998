// The two sides of the suite `embedding`: our service as it is built, and its peer in Python, each as a process of its own.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { createFolderStore } from '@kindred/artifact-store';
import { KindredError } from '@kindred/errors';
import { pythonWith } from '@kindred/python-environment';
import { encodeModelFile } from '@kindred/simclr';
import { benchModel, type BenchForm } from './embedding-model.js';
import { endServiceProcess, startServiceProcess } from './service-process.js';

/** A service under load. */
export interface EmbeddingSide {
  readonly address: string;
  readonly versions: Readonly<Record<string, string>>;
  /** Resident memory in MiB; NaN where it is not known. */
  residentMiB(): Promise<number>;
  close(): Promise<void>;
}

/** What both sides are started with. */
export interface SideOptions {
  /** A folder of the side's own. */
  readonly folder: string;
  readonly form: BenchForm;
  readonly threads: number;
  readonly maxBatch: number;
  readonly maxDelayMs: number;
}

/** Name of the model in our service. */
export const modelName = 'bench';

/** Starts our service with its model loaded and warm; `bundles` is `dist/services`. */
export async function startOurs(bundles: string, options: SideOptions): Promise<EmbeddingSide> {
  const { folder, form, threads, maxBatch, maxDelayMs } = options;
  const artifacts = join(folder, 'artifacts');
  await mkdir(folder, { recursive: true });
  const store = await createFolderStore(artifacts);
  await store.put(`runs/${modelName}/model.safetensors`, encodeModelFile(benchModel(form)));
  const service = await startServiceProcess(bundles, folder, 'embedding', {
    KINDRED_ARTIFACT_STORE: artifacts,
    KINDRED_EMBEDDING_PRELOAD: modelName,
    KINDRED_EMBEDDING_THREADS: `${threads}`,
    KINDRED_EMBEDDING_MAX_BATCH: `${maxBatch}`,
    KINDRED_EMBEDDING_MAX_DELAY_MS: `${maxDelayMs}`,
  });
  return {
    address: service.address,
    versions: {},
    residentMiB: () => residentMiB(service.child.pid),
    close: () => endServiceProcess(service),
  };
}

/** Starts the peer, warm, with the contract's Python stubs made for it. */
export async function startPython(
  { python, peers, say }: { readonly python: string; readonly peers: string; readonly say: (line: string) => void },
  options: SideOptions,
): Promise<EmbeddingSide> {
  const { folder, form, threads, maxBatch, maxDelayMs } = options;
  const file = join(peers, 'requirements-grpc.txt');
  const grpcPython = await pythonWith({ purpose: 'bench-grpc', file, contents: 'grpcio', say });
  const env = { ...process.env, PYTHONPATH: await sitePackages(grpcPython) };
  const stubs = join(folder, 'stubs');
  await mkdir(stubs, { recursive: true });
  const protos = join(peers, '..', '..', '..', 'proto');
  const files = ['embedding/v1/embedding.proto', 'augmentation/v1/augmentation.proto'];
  const compile = spawn(
    grpcPython,
    [
      ...['-m', 'grpc_tools.protoc', '-I', protos, `--python_out=${stubs}`, `--grpc_python_out=${stubs}`],
      ...files.map((name) => join(protos, 'kindred', name)),
    ],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
  const [code] = (await once(compile, 'close')) as [number | null];
  if (code !== 0) throw new KindredError('INTERNAL', `grpc_tools.protoc ended with exit code ${code}`);

  const side = benchModel(form).cropSize;
  const child = spawn(
    python,
    [
      ...[join(peers, 'embedding_service.py'), '--stubs', stubs, '--form', form, '--side', `${side}`, '--width', '64'],
      ...['--max-batch', `${maxBatch}`, '--max-delay-ms', `${maxDelayMs}`, '--threads', `${threads}`],
      ...['--decoders', `${threads}`],
    ],
    { env, stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const ended = once(child, 'close').then(([exitCode]) => {
    throw new KindredError('UNAVAILABLE', `the peer ended with exit code ${exitCode}; its words are above`);
  });
  ended.catch(() => {});
  const first = createInterface({ input: child.stdout })[Symbol.asyncIterator]().next();
  const { value } = (await Promise.race([first, ended])) as { value: string };
  const { address, versions } = JSON.parse(value) as Pick<EmbeddingSide, 'address' | 'versions'>;
  return {
    address,
    versions,
    residentMiB: () => residentMiB(child.pid),
    async close() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.stdin.end();
      await once(child, 'close');
    },
  };
}

/** `lib/python3.x/site-packages` of the environment of an interpreter. */
async function sitePackages(python: string): Promise<string> {
  const lib = join(dirname(dirname(python)), 'lib');
  const [version = ''] = (await readdir(lib)).filter((name) => name.startsWith('python3'));
  return join(lib, version, 'site-packages');
}

/** VmRSS of Linux. */
async function residentMiB(pid: number | undefined): Promise<number> {
  const status = await readFile(`/proc/${pid ?? 0}/status`, 'utf8').catch(() => '');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
}
