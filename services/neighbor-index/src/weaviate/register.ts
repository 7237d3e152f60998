// The collections of the cluster that this service knows of, in one file of its own disk: their names are taken also while no node answers.
import { z } from 'zod';
import { collectionSpecSchema } from '../engine/spec.js';
import { readWhole, replaceWhole, type Disk } from '../storage/disk.js';
import type { DescribedClass } from './class-schema.js';

/** The file. */
export interface Register {
  load(): Promise<DescribedClass[]>;
  save(known: readonly DescribedClass[]): Promise<void>;
}

const path = 'weaviate-collections.json';
const fileSchema = z.array(
  z.object({ collection: z.string(), createTime: z.iso.datetime(), spec: collectionSpecSchema }),
);

/** Opens the register; without a file it is empty. */
export function createRegister(disk: Disk): Register {
  return {
    async load() {
      const bytes = await readWhole(disk, path).catch((thrown: unknown) => {
        if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return null;
        throw thrown;
      });
      if (bytes === null) return [];
      const entries = fileSchema.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
      return entries.map((one) => ({ ...one, createTime: new Date(one.createTime) }));
    },
    save: (known) => {
      const entries = known.map((one) => ({ ...one, createTime: one.createTime.toISOString() }));
      return replaceWhole(disk, path, [Buffer.from(`${JSON.stringify(entries)}\n`)]);
    },
  };
}
