// `kindred artifacts list` and `show`: what was made, when, by what, from what.
import type { Command } from 'commander';
import type { ArtifactStore } from '@kindred/artifact-store';
import { invalidField, notFound } from '@kindred/errors';
import {
  isDatasetReference,
  listManifests,
  manifestKinds,
  parseDatasetArtifact,
  readManifest,
  type Manifest,
  type ManifestKind,
} from '@kindred/lineage';
import { table, type Output } from '../output.js';
import { formatBytes } from '../quantities.js';
import { runWithStore } from '../stored.js';

interface ListOptions {
  readonly kind?: string;
}

/** Adds the commands. */
export function addArtifactsList(artifacts: Command): void {
  artifacts
    .command('list')
    .description('list runs, models, data sets, feature sets and indexes that have a manifest')
    .option('--kind <kind>', `only ${manifestKinds.join(', ')}`)
    .action((options: ListOptions, command: Command) =>
      runWithStore(command, (store, { output }) =>
        list(store, output, options.kind === undefined ? manifestKinds : [kindOf('--kind', options.kind)]),
      ),
    );
  artifacts
    .command('show <kind> <id>')
    .description('show what one was made from, by which code and settings, and what was made from it')
    .action((kind: string, id: string, _: unknown, command: Command) =>
      runWithStore(command, (store, { output }) => show(store, output, kindOf('KIND', kind), id)),
    );
}

async function list(store: ArtifactStore, output: Output, kinds: readonly ManifestKind[]): Promise<void> {
  const rows: string[][] = [];
  const found: object[] = [];
  for await (const { key, kind, id, manifest } of listManifests(store, kinds)) {
    if (manifest === null) {
      output.warn(`${key} is damaged, or of a later version of Kindred`);
      continue;
    }
    const { createTime, producer, files } = manifest;
    const size = files.reduce((sum, file) => sum + file.size, 0);
    rows.push([kind, id, timeText(createTime), String(files.length), formatBytes(size), producer.version]);
    found.push(manifest);
  }
  const titles = ['KIND', 'ID', 'MADE', 'FILES', 'SIZE', 'CODE'];
  if (rows.length === 0) output.text('nothing has a manifest yet');
  else for (const line of table([titles, ...rows], [3, 4])) output.text(line);
  output.result({ artifacts: found });
}

async function show(store: ArtifactStore, output: Output, kind: ManifestKind, id: string): Promise<void> {
  const manifest = await readManifest(store, kind, id);
  if (manifest === null) {
    const known: string[] = [];
    for await (const other of listManifests(store, [kind])) known.push(other.id);
    throw notFound(kind, id, known);
  }
  const usedBy: { kind: ManifestKind; id: string }[] = [];
  for await (const other of listManifests(store)) {
    if (other.manifest !== null && isInputOf(manifest, other.manifest)) usedBy.push({ kind: other.kind, id: other.id });
  }
  const { producer, createTime, inputs, seed, metrics, files, config } = manifest;
  const facts = [
    ['made', `${timeText(createTime)} by ${producer.program} ${producer.version}`],
    ...inputs.map((input) => ['from', `${input.kind} ${input.id} (${hashText(input.sha256)})`]),
    ...usedBy.map((other) => ['used by', `${other.kind} ${other.id}`]),
    ...(seed === null ? [] : [['seed', seed]]),
    ...Object.entries(metrics).map(([name, value]) => [name, String(value)]),
    ...files.map(({ key, size, sha256 }) => ['file', `${key} (${formatBytes(size)}, ${hashText(sha256)})`]),
    ...Object.entries(config).map(([name, value]) => [name, JSON.stringify(value)]),
  ];
  for (const line of table(facts)) output.text(line);
  output.result({ ...manifest, usedBy });
}

/** Whether `other` was made from `made`: by the hash of a file, by its name, or a data set by the content that it was pinned to. */
function isInputOf(made: Manifest, other: Manifest): boolean {
  const hashes = new Set(made.files.map(({ sha256 }) => sha256));
  return other.inputs.some(({ kind, id, sha256 }) => {
    if (kind !== made.kind) return false;
    if (id === made.id || (sha256 !== null && hashes.has(sha256))) return true;
    // E.g. `artifact:pets@0123456789abcdef/train`.
    const reference = id.slice(0, id.lastIndexOf('/'));
    if (!isDatasetReference(reference)) return false;
    const { name, hash } = parseDatasetArtifact(reference, 'id');
    return hash === null ? name === made.id : String(made.config['set']).startsWith(hash);
  });
}

function kindOf(option: string, text: string): ManifestKind {
  const kind = manifestKinds.find((known) => known === text);
  if (kind === undefined) throw invalidField(option, `got '${text}'; allowed: ${manifestKinds.join(', ')}`);
  return kind;
}

function hashText(sha256: string | null): string {
  return sha256 === null ? 'content not known' : `SHA-256 ${sha256.slice(0, 16)}…`;
}

function timeText(time: string): string {
  return time.slice(0, 16).replace('T', ' ');
}
