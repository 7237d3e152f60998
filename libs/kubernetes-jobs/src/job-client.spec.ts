import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@kindred/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { createJobClient, type JobsListener, type ListFollower } from './index.js';

type Reply = (request: IncomingMessage, response: ServerResponse, url: URL) => void;

const job = (name: string, uid: string, resourceVersion: string) => ({
  apiVersion: 'batch/v1',
  kind: 'Job',
  metadata: { name, uid, resourceVersion, labels: { a: 'b' } },
});
const say = (response: ServerResponse, status: number, body: unknown): void => {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
};
const refusal = (response: ServerResponse, code: number, message: string): void =>
  say(response, code, { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, message });

describe('client of Jobs', () => {
  const folder = temporaryFolder();
  const closing: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  /** An API server that answers as the test says. */
  const open = async (name: string, reply: Reply) => {
    const api = createServer((request, response) =>
      reply(request, response, new URL(request.url ?? '/', 'http://api')),
    );
    await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve));
    closing.push(async () => {
      api.closeAllConnections();
      await new Promise((resolve) => api.close(resolve));
    });
    const kubeconfig = join(folder, name);
    // The client takes HTTP only where certificates are not checked either.
    const server = `http://127.0.0.1:${(api.address() as AddressInfo).port}`;
    const cluster = { server, 'insecure-skip-tls-verify': true };
    writeFileSync(
      kubeconfig,
      JSON.stringify({
        clusters: [{ name: 'c', cluster }],
        users: [{ name: 'u', user: { token: 'secret' } }],
        contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
        'current-context': 'x',
      }),
    );
    return createJobClient({ namespace: 'n', kubeconfig, callMs: 1000 });
  };
  const listener = (told: (what: string) => void): JobsListener => ({
    onJob: ({ name }) => told(`job ${name}`),
    onPod: ({ name }) => told(`pod ${name}`),
    onJobGone: (uid) => told(`gone ${uid}`),
    onPodGone: ({ uid }) => told(`pod gone ${uid}`),
    onJobs: (all) => told(`jobs ${all.map(({ name }) => name).join(',')}`),
    onPods: () => {},
    onWarning: ({ name, words }) => told(`warning ${name} ${words}`),
    onWarnings: (all) => all.forEach(({ name, words }) => told(`warning ${name} ${words}`)),
    onWarningGone: () => {},
    onTrouble: (error) => told(error === null ? 'well' : error.code),
  });
  const followUntil = (client: { follow(s: string, l: JobsListener): ListFollower }, last: string) =>
    new Promise<string[]>((resolve) => {
      const words: string[] = [];
      const follower = client.follow(
        'a=b',
        listener((what) => {
          words.push(what);
          if (what === last) resolve(words);
        }),
      );
      closing.push(() => follower.close());
    });

  it('goes on watching from where it stopped, and lists anew when that is too long ago', async () => {
    const asked: string[] = [];
    let lists = 0;
    const client = await open('watch', (_, response, { pathname, searchParams }) => {
      if (!pathname.endsWith('/jobs')) {
        // Pods: an empty list, and a watch that stays silent.
        if (searchParams.get('watch') === null) say(response, 200, { items: [], metadata: { resourceVersion: '1' } });
        else response.writeHead(200).flushHeaders();
        return;
      }
      if (searchParams.get('watch') === null) {
        lists++;
        const items = lists === 1 ? [job('first', 'u1', '10')] : [job('third', 'u3', '40')];
        return say(response, 200, { items, metadata: { resourceVersion: lists === 1 ? '10' : '40' } });
      }
      const from = searchParams.get('resourceVersion') ?? '';
      asked.push(from);
      response.writeHead(200, { 'content-type': 'application/json' });
      const line = (type: string, object: unknown): string => `${JSON.stringify({ type, object })}\n`;
      if (from === '10') response.end(line('ADDED', job('second', 'u2', '20')));
      else if (from === '20') response.end(line('ERROR', { kind: 'Status', code: 410, message: 'too old' }));
      else response.write(line('DELETED', job('third', 'u3', '41')));
    });
    const words = await followUntil(client, 'gone u3');
    expect(words.filter((word) => word !== 'well')).toEqual(['jobs first', 'job second', 'jobs third', 'gone u3']);
    expect(asked).toEqual(['10', '20', '40']);
  });

  it('hears of warnings about Jobs by one watch for all, the latest last', async () => {
    const asked: string[] = [];
    const event = (message: string, lastTimestamp: string) => ({
      metadata: { uid: message },
      involvedObject: { kind: 'Job', name: 'r', uid: 'u' },
      ...{ type: 'Warning', reason: 'FailedCreate', message, lastTimestamp },
    });
    const client = await open('warnings', (_, response, { pathname, searchParams }) => {
      const isWatch = searchParams.get('watch') !== null;
      if (!pathname.endsWith('/events')) {
        if (isWatch) response.writeHead(200).flushHeaders();
        else say(response, 200, { items: [], metadata: { resourceVersion: '1' } });
        return;
      }
      asked.push(`${isWatch ? 'watch' : 'list'} ${searchParams.get('fieldSelector')}`);
      if (!isWatch) {
        const items = [event('newer', '2026-01-01T00:00:02Z'), event('older', '2026-01-01T00:00:01Z')];
        return say(response, 200, { items, metadata: { resourceVersion: '5' } });
      }
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write(`${JSON.stringify({ type: 'ADDED', object: event('last', '2026-01-01T00:00:03Z') })}\n`);
    });
    const words = await followUntil(client, 'warning r FailedCreate: last');
    expect(words.filter((word) => word.startsWith('warning')).map((word) => word.split(': ')[1])).toEqual([
      'older',
      'newer',
      'last',
    ]);
    const selector = 'involvedObject.kind=Job,type=Warning';
    expect(asked).toEqual([`list ${selector}`, `watch ${selector}`]);
  });

  it('tells of an API that refuses, and that all is well again', async () => {
    let refused = 0;
    const client = await open('refused', (_, response, { searchParams }) => {
      if (refused++ < 2) return refusal(response, 403, 'jobs.batch is forbidden: cannot list');
      if (searchParams.get('watch') === null) say(response, 200, { items: [], metadata: { resourceVersion: '1' } });
      else response.writeHead(200).flushHeaders();
    });
    const words = await followUntil(client, 'well');
    expect(words).toContain('PERMISSION_DENIED');
  });

  it('tells a quota from a missing right, and both from no answer', async () => {
    const answers: Reply[] = [
      (_, response) => refusal(response, 403, 'jobs.batch "r" is forbidden: exceeded quota: gpus'),
      (_, response) => refusal(response, 403, 'jobs.batch is forbidden: User "x" cannot create resource "jobs"'),
      (_, response) => refusal(response, 409, 'jobs.batch "r" already exists'),
      (_, response) => refusal(response, 422, 'spec.template: Invalid value'),
      (_, response) => refusal(response, 503, 'not now'),
      () => {},
    ];
    let calls = 0;
    const client = await open('errors', (request, response, url) => answers[calls++]?.(request, response, url));
    const codes: unknown[] = [];
    for (const _ of answers) {
      await client.create('r', { spec: {} }).catch((thrown: { code: unknown }) => codes.push(thrown.code));
    }
    expect(codes).toEqual([
      'RESOURCE_EXHAUSTED',
      'PERMISSION_DENIED',
      'ALREADY_EXISTS',
      'INVALID_ARGUMENT',
      'UNAVAILABLE',
      'UNAVAILABLE',
    ]);
  });

  it('deletes after the pods, and only the very Job', async () => {
    let body = '';
    const client = await open('delete', (request, response) => {
      request.setEncoding('utf8').on('data', (part: string) => (body += part));
      request.on('end', () => refusal(response, 409, 'uid does not match'));
    });
    await client.delete({ name: 'r', uid: 'u1' });
    expect(JSON.parse(body)).toMatchObject({ propagationPolicy: 'Foreground', preconditions: { uid: 'u1' } });
  });
});
