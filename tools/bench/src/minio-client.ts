// The peer of the suite `artifacts`: `mc cp`, started anew for each round, as it is used.
import { spawn } from 'node:child_process';
import { KindredError } from '@kindred/errors';
import type { S3Server } from '@kindred/testing/s3-server';
import type { Contestant } from './contestant.js';

/** What the client copies. */
export interface ClientOptions {
  /** Path of `mc`. */
  readonly program: string;
  readonly server: S3Server;
  readonly bucket: string;
  readonly work: 'put' | 'get';
  readonly file: string;
}

/**
 * The side: a round is one copy; its items are the mebibytes that it was told. One copy comes before the first round, so
 * that object and file are there to be replaced, as they are on our side.
 */
export async function startClient({ program, server, bucket, work, file }: ClientOptions): Promise<Contestant> {
  const object = `peer/${bucket}/theirs`;
  const words = work === 'put' ? [file, object] : [object, file];
  const { AWS_ACCESS_KEY_ID: key, AWS_SECRET_ACCESS_KEY: secret } = server.credentials;
  const environment = { ...process.env, MC_HOST_peer: server.endpoint.replace('://', `://${key}:${secret}@`) };
  const side: Contestant = {
    versions: {},
    async round(mebibytes) {
      const began = performance.now();
      const child = spawn(program, ['cp', '--quiet', ...words], {
        env: environment,
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      let said = '';
      child.stderr.on('data', (part: Buffer) => (said += part.toString()));
      const code = await new Promise((resolve) => child.once('close', resolve));
      if (code !== 0) throw new KindredError('UNAVAILABLE', `mc cp ended with exit code ${String(code)}: ${said}`);
      return { seconds: (performance.now() - began) / 1000, items: mebibytes, peakMiB: null };
    },
    close: () => Promise.resolve(),
  };
  await side.round(0);
  return side;
}
