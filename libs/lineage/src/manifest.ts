// A manifest says of one artifact what made it, from what, and which files it is.
import { z } from 'zod';

/** What manifests are kept of. */
export const manifestKinds = ['run', 'dataset', 'model', 'feature-set', 'index'] as const;

/** One of {@link manifestKinds}. */
export type ManifestKind = (typeof manifestKinds)[number];

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

const fileSchema = z.object({
  /** Key in the store. */
  key: z.string().min(1),
  /** Bytes. */
  size: z.number().int().min(0),
  /** Of the content, lower-case hexadecimal. */
  sha256,
});

const inputSchema = z.object({
  kind: z.enum(manifestKinds),
  /** As people name it: a run's or index's id, a dataset with its split. */
  id: z.string().min(1),
  /** Of its content, as it was read; null where whoever wrote the manifest could not know it. */
  sha256: sha256.nullable(),
});

/** The form of `manifests/<kind>/<id>.json`. Later versions add fields; a reader refuses a `schemaVersion` that it does not know. */
export const manifestSchema = z.object({
  schemaVersion: z.literal(1),
  kind: z.enum(manifestKinds),
  /** One or more key segments joined by `/`. */
  id: z.string().min(1),
  createTime: z.iso.datetime(),
  /** The program that made it, and which version of the code that was. */
  producer: z.object({ program: z.string().min(1), version: z.string().min(1) }),
  inputs: z.array(inputSchema),
  /** Every setting that it depends on, defaults filled in. */
  config: z.record(z.string(), z.unknown()),
  /** Seed of all chance as decimal text, since JSON's numbers do not hold 64 bits; null where no chance is in it. */
  seed: z.string().regex(/^\d+$/).nullable(),
  /** Measured facts by name, each with its unit in the name where it has one, e.g. `knn_top1_percent`. */
  metrics: z.record(z.string(), z.number()),
  files: z.array(fileSchema),
});

/** A manifest. */
export type Manifest = z.output<typeof manifestSchema>;

/** A file of an artifact. */
export type ManifestFile = Manifest['files'][number];

/** Something that an artifact was made from. */
export type ManifestInput = Manifest['inputs'][number];

/** What a producer says; version of the form and time are filled in. */
export type NewManifest = Omit<Manifest, 'schemaVersion' | 'createTime'>;
