// Datasets on disk: found by the names of their files, and told apart from an earlier state by sizes and times.
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { datasetKeyText, type DatasetKey, type SplitName } from './dataset-key.js';

interface Trait {
  readonly name: string;
  readonly split: SplitName;
  /** The folder that the official archive unpacks to. */
  readonly inner: string;
  /** A file or folder without which the split is not there. */
  readonly entries: readonly string[];
}

const traits: readonly Trait[] = [
  { name: 'cifar-10', split: 'train', inner: 'cifar-10-batches-bin', entries: ['data_batch_1.bin'] },
  { name: 'cifar-10', split: 'validation', inner: 'cifar-10-batches-bin', entries: ['test_batch.bin'] },
  { name: 'cifar-20', split: 'train', inner: 'cifar-100-binary', entries: ['train.bin'] },
  { name: 'cifar-20', split: 'validation', inner: 'cifar-100-binary', entries: ['test.bin'] },
  { name: 'stl-10', split: 'train', inner: 'stl10_binary', entries: ['train_X.bin'] },
  { name: 'stl-10', split: 'validation', inner: 'stl10_binary', entries: ['test_X.bin'] },
  { name: 'stl-10', split: 'unlabeled', inner: 'stl10_binary', entries: ['unlabeled_X.bin'] },
  { name: 'folder', split: 'train', inner: '', entries: ['train'] },
  { name: 'folder', split: 'validation', inner: '', entries: ['val', 'test'] },
];

/** Entries whose times are looked at; a larger tree is judged by its first ones. */
const maxFingerprintEntries = 256;

/** The drawn set, and the datasets in the `roots` and in the folders just below them, by name, split and root. */
export async function findDatasets(roots: readonly string[]): Promise<DatasetKey[]> {
  const drawn = (['train', 'validation'] as const).map((split) => key('drawn', split, ''));
  const found = new Map<string, DatasetKey>();
  for (const root of roots) {
    const children = await entriesOf(root);
    const folders = [root, ...children.filter(({ folder }) => folder).map(({ name }) => join(root, name))];
    for (const folder of folders) {
      for (const item of await datasetsIn(folder)) found.set(datasetKeyText(item), item);
    }
  }
  return [...drawn, ...found.values()].sort(byNameSplitRoot);
}

/** Orders keys by name, split and root. */
export function byNameSplitRoot(a: DatasetKey, b: DatasetKey): number {
  return compare(a.name, b.name) || compare(a.split, b.split) || compare(a.root, b.root);
}

/** A text that differs once files of the dataset were added, removed or written anew; empty for `drawn`. */
export async function fingerprint({ name, root }: DatasetKey): Promise<string> {
  if (name === 'drawn') return '';
  const times = [await timeOf(root)];
  for (const entry of (await entriesOf(root)).slice(0, maxFingerprintEntries)) {
    const path = join(root, entry.name);
    times.push(await timeOf(path));
    if (!entry.folder) continue;
    const inner = (await entriesOf(path)).slice(0, maxFingerprintEntries);
    times.push(...(await Promise.all(inner.map((below) => timeOf(join(path, below.name))))));
  }
  return times.join(',');
}

async function datasetsIn(folder: string): Promise<DatasetKey[]> {
  const names = new Set((await entriesOf(folder)).map(({ name }) => name));
  const found: DatasetKey[] = [];
  for (const { name, split, inner, entries } of traits) {
    const inside = names.has(inner) ? new Set((await entriesOf(join(folder, inner))).map((entry) => entry.name)) : null;
    if (entries.some((entry) => names.has(entry) || inside?.has(entry) === true)) found.push(key(name, split, folder));
  }
  return found;
}

function key(name: string, split: SplitName, root: string): DatasetKey {
  return { name, split, root, drawnSize: 0, drawnSeed: 0 };
}

async function entriesOf(folder: string): Promise<{ name: string; folder: boolean }[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return entries
    .map((entry) => ({ name: entry.name, folder: entry.isDirectory() }))
    .sort((a, b) => compare(a.name, b.name));
}

async function timeOf(path: string): Promise<string> {
  const found = await stat(path).catch(() => null);
  return found === null ? '-' : `${found.mtimeMs}/${found.size}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
