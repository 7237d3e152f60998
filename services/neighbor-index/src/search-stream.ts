// Searches of a stream: a few at a time, answered in the order in which they came, each as soon as it is ready.
import { invalidField } from '@kindred/errors';
import type { SearchRequest, SearchResponse, SearchStreamRequest } from '@kindred/protocol/neighbors';

/** Searches of one stream that are worked on at a time. */
const mostAtOnce = 16;

interface Answer {
  readonly answer: SearchResponse;
  readonly tag: bigint;
}

/** Answers with their tags. A failed search ends the stream with its error, after the answers before it. */
export async function* answerStream(
  requests: AsyncIterable<SearchStreamRequest>,
  answer: (request: SearchRequest) => Promise<SearchResponse>,
): AsyncGenerator<Answer, void, undefined> {
  const begin = async ({ search, tag }: SearchStreamRequest): Promise<Answer> => {
    if (search === undefined) throw invalidField('search', 'got nothing; needed: a search');
    return { answer: await answer(search), tag };
  };
  const iterator = requests[Symbol.asyncIterator]();
  const take = (): Promise<IteratorResult<SearchStreamRequest>> => {
    const taken = iterator.next();
    // An error is told when its turn comes; the same holds for searches.
    taken.catch(() => {});
    return taken;
  };
  const under: Promise<Answer>[] = [];
  let next: Promise<IteratorResult<SearchStreamRequest>> | null = take();
  try {
    while (next !== null || under.length > 0) {
      const [first] = under;
      if (first !== undefined && (next === null || under.length >= mostAtOnce || (await endsFirst(first, next)))) {
        void under.shift();
        yield await first;
        continue;
      }
      const { value, done } = await (next as Promise<IteratorResult<SearchStreamRequest>>);
      if (done === true) {
        next = null;
        continue;
      }
      const begun = begin(value);
      begun.catch(() => {});
      under.push(begun);
      next = take();
    }
  } finally {
    // Not awaited: a generator that waits for the caller's next request ends only when that has come, or the call has ended.
    void iterator.return?.()?.catch(() => {});
  }
}

/** Whether `one` ends before `other` does. */
function endsFirst(one: Promise<unknown>, other: Promise<unknown>): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (value: boolean) => () => resolve(value);
    one.then(settle(true), settle(true));
    other.then(settle(false), settle(false));
  });
}
