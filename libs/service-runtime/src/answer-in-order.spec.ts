import { describe, expect, it } from 'vitest';
import { answerInOrder } from './answer-in-order.js';

/** Requests that the test sends one by one, and answers that it gives when it likes. */
function inHand(window: number) {
  const queued: (number | null)[] = [];
  let wake = (): void => {};
  let returned = false;
  async function* requests() {
    try {
      for (;;) {
        while (queued.length === 0) await new Promise<void>((resolve) => (wake = resolve));
        const next = queued.shift();
        if (next === null || next === undefined) return;
        yield next;
      }
    } finally {
      returned = true;
    }
  }
  const stop = new AbortController();
  const answers = new Map<number, { resolve: (text: string) => void; reject: (error: Error) => void }>();
  const stream = answerInOrder(
    requests(),
    window,
    (request) => new Promise<string>((resolve, reject) => answers.set(request, { resolve, reject })),
    stop.signal,
  );
  const send = (...values: (number | null)[]): void => {
    queued.push(...values);
    wake();
  };
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  return { stream, answers, send, settle, stop, wasReturned: () => returned };
}

describe('a stream of answers', () => {
  it('has the order of its requests, several at work at one time and no more', async () => {
    const { stream, answers, send, settle } = inHand(2);
    const first = stream.next();
    send(1, 2, 3, null);
    await settle();
    await settle();
    expect([...answers.keys()]).toEqual([1, 2]);
    answers.get(2)?.resolve('two');
    await settle();
    answers.get(1)?.resolve('one');
    expect((await first).value).toBe('one');
    expect((await stream.next()).value).toBe('two');
    const third = stream.next();
    await settle();
    await settle();
    answers.get(3)?.resolve('three');
    expect((await third).value).toBe('three');
    expect((await stream.next()).done).toBe(true);
  });

  it('answers a caller that waits for each answer before it sends the next', async () => {
    const { stream, answers, send, settle } = inHand(4);
    for (const value of [1, 2]) {
      const next = stream.next();
      send(value);
      await settle();
      await settle();
      answers.get(value)?.resolve(`${value}`);
      expect((await next).value).toBe(`${value}`);
    }
    send(null);
    expect((await stream.next()).done).toBe(true);
  });

  it('ends with the first error, and lets go of its requests', async () => {
    const { stream, answers, send, settle, wasReturned } = inHand(4);
    const first = stream.next();
    send(1, 2);
    await settle();
    await settle();
    answers.get(2)?.reject(new Error('second'));
    answers.get(1)?.reject(new Error('first'));
    // The caller has not said that it is done: it waits for this error.
    await expect(first).rejects.toThrow('first');
    expect((await stream.next()).done).toBe(true);
    send(null);
    await settle();
    expect(wasReturned()).toBe(true);
  });

  it('answers what is at work when it is stopped, and ends without another request', async () => {
    const { stream, answers, send, settle, stop } = inHand(4);
    const first = stream.next();
    send(1);
    await settle();
    await settle();
    stop.abort();
    answers.get(1)?.resolve('1');
    expect((await first).value).toBe('1');
    expect((await stream.next()).done).toBe(true);
  });
});
