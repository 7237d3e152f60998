// A stream of requests: several at work at one time, answers in the order of the requests.

/** Answers `requests` in their order by `answer`, at most `window` at work at one time. Ends with the first error. */
export async function* answerInOrder<Q, R>(
  requests: AsyncIterable<Q>,
  window: number,
  answer: (request: Q) => Promise<R>,
): AsyncGenerator<R, void, undefined> {
  const iterator = requests[Symbol.asyncIterator]();
  const answers: Promise<R>[] = [];
  let next: Promise<IteratorResult<Q>> | null = iterator.next();
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
      // It is awaited in its turn; until then its failure is nobody's.
      given.catch(() => {});
      answers.push(given);
      next = iterator.next();
      next.catch(() => {});
    }
  } finally {
    await iterator.return?.();
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
