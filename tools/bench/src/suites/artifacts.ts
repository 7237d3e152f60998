// Suite `artifacts`: how fast do objects go to a MinIO on this machine and back, against its own client, and in how much memory?
import { execFileSync } from 'node:child_process';
import { createWriteStream, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { provisionGo } from '@kindred/setup/go-programs';
import { startS3Server, type S3Server } from '@kindred/testing/s3-server';
import { contest, contestOfFresh } from '../contest.js';
import type { Contestant } from '../contestant.js';
import { storedObjectEntry } from '../entries.js';
import { startClient } from '../minio-client.js';
import { startOwn } from '../own-process.js';
import { compare, type Row } from '../report.js';
import { unwatched } from '../rounds.js';
import type { StoredObjectOptions } from '../stored-object.worker.js';
import type { Suite } from './suite.js';

const bucket = 'artifacts';
const mebibytes = 512;
const largeMebibytes = 5 * 1024;
const unit = 'MiB/s';

/** The suite. Both sides read from a file and write to one; `mc`'s figures include its start, about 0.1 s. */
export const artifactsSuite: Suite = {
  name: 'artifacts',
  description: 'an object of 512 MiB to a local MinIO and back, against mc cp; memory of streaming 5 GiB',
  async run({ rounds, folder, say }) {
    const program = await provisionGo('minio', { progress: say });
    const client = await provisionGo('mc', { progress: say });
    const server = await startS3Server({ kind: 'minio', program, folder: join(folder, 'data') });
    try {
      server.makeBucket(bucket);
      const file = join(folder, 'object');
      await writeNoise(file);
      const rows: Row[] = [];
      for (const work of ['put', 'get'] as const) {
        const options = { ...ourOptions(server), work, file: work === 'put' ? file : join(folder, 'ours') };
        const peer = { program: client, server, bucket, work, file: work === 'put' ? file : join(folder, 'theirs') };
        const sides = {
          ours: () => afterSync(startOwn(storedObjectEntry, options)),
          mc: () => afterSync(startClient(peer)),
        };
        const id = `artifact-${work}`;
        const { rates } = await contest({ label: id, sides, rounds, steps: mebibytes, unit, say });
        rows.push(compare({ id, suite: 'artifacts', unit, against: 'mc cp' }, rates, 'ours', 'mc'));
      }
      for (const work of ['put-made', 'get-counted'] as const) rows.push(await memoryRow(server, work, say));
      return { rows, versions: {} };
    } finally {
      await server.stop();
      rmSync(join(folder, 'data'), { recursive: true, force: true });
    }
  },
};

/** A side whose rounds begin when the disk has nothing left to write, so that none pays for what the other left there. */
async function afterSync(starting: Promise<Contestant>): Promise<Contestant> {
  const side = await starting;
  return {
    ...side,
    async round(steps) {
      execFileSync('sync');
      return side.round(steps);
    },
  };
}

/** Peak memory of a process that streams 5 GiB; one round, since nothing but the size counts. */
async function memoryRow(
  server: S3Server,
  work: StoredObjectOptions['work'],
  say: (line: string) => void,
): Promise<Row> {
  const id = `artifact-memory-${work.slice(0, 3)}`;
  const ours = {
    start: () => startOwn(storedObjectEntry, { ...ourOptions(server), work, file: '' }),
    figure: async (side: Contestant) => (await side.round(largeMebibytes)).peakMiB ?? Number.NaN,
  };
  const comparison = { label: id, sides: { ours }, rounds: 1, unit: 'MiB', say, watch: unwatched };
  const { rates } = await contestOfFresh(comparison);
  return compare({ id, suite: 'artifacts', unit: 'MiB', against: 'no peer' }, rates, 'ours', null);
}

function ourOptions({ endpoint, credentials }: S3Server): Pick<StoredObjectOptions, 'store' | 'credentials'> {
  return { store: `s3://${bucket}?endpoint=${endpoint}`, credentials };
}

/** Content that nothing can compress or see as zeros. */
async function writeNoise(file: string): Promise<void> {
  mkdirSync(join(file, '..'), { recursive: true });
  const block = Buffer.allocUnsafe(1 << 20);
  for (let at = 0; at < block.length; at += 4) block.writeUInt32LE(Math.floor(Math.random() * 2 ** 32), at);
  function* blocks(): Generator<Buffer> {
    for (let index = 0; index < mebibytes; index++) yield Buffer.from(block.map((byte) => byte ^ (index & 0xff)));
  }
  await pipeline(Readable.from(blocks()), createWriteStream(file));
}
