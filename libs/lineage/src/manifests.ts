// Manifests in the store: written whole, read with care, listed.
import { KindredError, isKindredError } from '@kindred/errors';
import { compareAndSwap } from './compare-and-swap.js';
import type { LineageStore } from './lineage-store.js';
import { manifestKinds, manifestSchema, type Manifest, type ManifestKind, type NewManifest } from './manifest.js';

/** Prefix of the keys of all manifests. */
export const manifestPrefix = 'manifests/';

/** A manifest's place, and what stands there; null: it is damaged, or of a later version. */
export interface FoundManifest {
  readonly key: string;
  readonly kind: ManifestKind;
  readonly id: string;
  readonly manifest: Manifest | null;
}

/** Key of the manifest of an artifact. */
export const manifestKey = (kind: ManifestKind, id: string): string => `${manifestPrefix}${kind}/${id}.json`;

/** Writes a manifest in one step, in place of an older one of the same artifact. Returns its key. */
export async function writeManifest(store: Pick<LineageStore, 'put'>, manifest: NewManifest): Promise<string> {
  const key = manifestKey(manifest.kind, manifest.id);
  await store.put(key, encode(manifest));
  return key;
}

/**
 * Replaces a manifest by `change` of it (null: there is none), whoever else changes it meanwhile. A damaged one is
 * treated as absent: what is known now is worth more.
 */
export async function updateManifest(
  store: Pick<LineageStore, 'describe' | 'get' | 'put'>,
  kind: ManifestKind,
  id: string,
  change: (manifest: Manifest | null) => NewManifest,
): Promise<void> {
  const key = manifestKey(kind, id);
  await compareAndSwap(store, key, (bytes) => encode(change(bytes === null ? null : decode(bytes, kind, id))));
}

/** Reads a manifest; null where there is none. DATA_LOSS, naming it, when it is damaged or of a later version. */
export async function readManifest(
  store: Pick<LineageStore, 'get'>,
  kind: ManifestKind,
  id: string,
): Promise<Manifest | null> {
  const key = manifestKey(kind, id);
  try {
    const manifest = decode(await store.get(key), kind, id);
    if (manifest !== null) return manifest;
  } catch (thrown) {
    if (isKindredError(thrown, 'NOT_FOUND')) return null;
    throw thrown;
  }
  throw new KindredError(
    'DATA_LOSS',
    `${key} is damaged, or was written by a later version of Kindred; restore it, or make the ${kind} again`,
    { resource: { type: 'artifact', name: key } },
  );
}

/** Yields all manifests by key; a damaged one too. */
export async function* listManifests(
  store: Pick<LineageStore, 'get' | 'list'>,
  kinds: readonly ManifestKind[] = manifestKinds,
): AsyncGenerator<FoundManifest, void, undefined> {
  for (const kind of kinds) {
    const prefix = `${manifestPrefix}${kind}/`;
    for await (const { key } of store.list(prefix)) {
      if (!key.endsWith('.json')) continue;
      const id = key.slice(prefix.length, -'.json'.length);
      const bytes = await store.get(key).catch((thrown: unknown) => {
        // It was deleted after it was listed, or the store itself finds it damaged.
        if (isKindredError(thrown, 'NOT_FOUND')) return undefined;
        if (isKindredError(thrown, 'DATA_LOSS')) return null;
        throw thrown;
      });
      if (bytes !== undefined) yield { key, kind, id, manifest: bytes === null ? null : decode(bytes, kind, id) };
    }
  }
}

function encode(manifest: NewManifest): Uint8Array {
  const full = manifestSchema.parse({ ...manifest, schemaVersion: 1, createTime: new Date().toISOString() });
  return new TextEncoder().encode(`${JSON.stringify(full, null, 1)}\n`);
}

function decode(bytes: Uint8Array, kind: ManifestKind, id: string): Manifest | null {
  try {
    const manifest = manifestSchema.parse(JSON.parse(new TextDecoder().decode(bytes)));
    return manifest.kind === kind && manifest.id === id ? manifest : null;
  } catch {
    return null;
  }
}
