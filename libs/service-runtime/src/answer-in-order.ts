// A stream of requests: several at work at one time, answers in the order of the requests.

/**
 * Answers `requests` in their order by `answer`, at most `window` at work at one time. Ends with the first error. Once
 * `stop` is aborted no further request is taken; what is at work is answered.
 */
export async function* answerInOrder<Q, R>(
  requests: AsyncIterable<Q>,
  window: number,
  answer: (request: Q) => Promise<R>,
  stop: AbortSignal = new AbortController().signal,
): AsyncGenerator<R, void, undefined> {
  const iterator = requests[Symbol.asyncIterator]();
  let release = (): void => {};
  const stopped = new Promise<IteratorResult<Q>>((resolve) => {
    const end = (): void => resolve({ done: true, value: undefined });
    if (stop.aborted) end();
    stop.addEventListener('abort', end, { once: true });
    release = () => stop.removeEventListener('abort', end);
  });
  const take = (): Promise<IteratorResult<Q>> => {
    const taken = Promise.race([iterator.next(), stopped]);
    // It is awaited in its turn; until then its failure is nobody's. The same holds for answers.
    taken.catch(() => {});
    return taken;
  };
  const answers: Promise<R>[] = [];
  let next: Promise<IteratorResult<Q>> | null = take();
  try {
    while (next !== null || answers.length > 0) {
      const [first] = answers;
      if (first !== undefined && (next === null || answers.length >= window || (await isFirst(first, next)))) {
        void answers.shift();
        yield await first;
        continue;
      }
      const { value, done } = await (next as Promise<IteratorResult<Q>>);
      if (done === true) {
        next = null;
        continue;
      }
      const given = answer(value);
      given.catch(() => {});
      answers.push(given);
      next = take();
    }
  } finally {
    release();
    // Not awaited: a generator that waits for the caller's next request ends only when that has come, or the call has ended.
    void iterator.return?.()?.catch(() => {});
  }
}

/** Whether `first` ends before `second` does. */
function isFirst(first: Promise<unknown>, second: Promise<unknown>): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (value: boolean) => () => resolve(value);
    first.then(settle(true), settle(true));
    second.then(settle(false), settle(false));
  });
}
