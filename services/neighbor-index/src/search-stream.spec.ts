// A stream of searches: each answer as soon as it is ready, in the order of the requests.
import { SearchStreamRequest, type SearchResponse } from '@kindred/protocol/neighbors';
import { expect, it } from 'vitest';
import { answerStream } from './search-stream.js';

const request = (tag: number): SearchStreamRequest =>
  SearchStreamRequest.fromPartial({ search: { k: tag }, tag: BigInt(tag) });
const response: SearchResponse = { results: [] };

it('answers a caller that waits for each answer before it sends the next', async () => {
  let heard = (): void => {};
  const order: string[] = [];
  async function* requests() {
    for (const tag of [1, 2, 3]) {
      const answered = new Promise<void>((resolve) => (heard = resolve));
      order.push(`sent ${tag}`);
      yield request(tag);
      await answered;
    }
  }
  for await (const { tag } of answerStream(requests(), async () => response)) {
    order.push(`got ${tag}`);
    heard();
  }
  expect(order).toEqual(['sent 1', 'got 1', 'sent 2', 'got 2', 'sent 3', 'got 3']);
});

it('keeps the order, and works on 16 at a time and no more', async () => {
  const answers = new Map<number, (response: SearchResponse) => void>();
  async function* requests() {
    for (let tag = 1; tag <= 20; tag++) yield request(tag);
  }
  const tags: number[] = [];
  const reading = (async () => {
    const stream = answerStream(requests(), ({ k }) => new Promise((resolve) => answers.set(k, resolve)));
    for await (const { tag } of stream) tags.push(Number(tag));
  })();
  await expect.poll(() => answers.size).toBe(16);
  await new Promise((resolve) => setImmediate(resolve));
  expect(answers.size).toBe(16);
  for (let tag = 16; tag > 0; tag--) answers.get(tag)!(response);
  await expect.poll(() => answers.size).toBe(20);
  for (let tag = 17; tag <= 20; tag++) answers.get(tag)!(response);
  await reading;
  expect(tags).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
});

it('ends with the error of the search that failed, after the answers before it', async () => {
  async function* requests() {
    for (const tag of [1, 2, 3]) yield request(tag);
  }
  const tags: bigint[] = [];
  const reading = async () => {
    for await (const { tag } of answerStream(requests(), ({ k }) =>
      k === 2 ? Promise.reject(new Error('two')) : Promise.resolve(response),
    ))
      tags.push(tag);
  };
  await expect(reading()).rejects.toThrow('two');
  expect(tags).toEqual([1n]);
});
