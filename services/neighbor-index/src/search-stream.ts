// Searches of a stream: a few at a time, answered in the order in which they came.
import { invalidField } from '@kindred/errors';
import type { SearchRequest, SearchResponse, SearchStreamRequest } from '@kindred/protocol/neighbors';

/** Searches of one stream that are worked on at a time. */
const mostAtOnce = 16;

/** Answers with their tags. A failed search ends the stream with its error, after the answers before it. */
export async function* answerStream(
  requests: AsyncIterable<SearchStreamRequest>,
  answer: (request: SearchRequest) => Promise<SearchResponse>,
): AsyncGenerator<{ answer: SearchResponse; tag: bigint }> {
  const under: Promise<{ answer: SearchResponse; tag: bigint }>[] = [];
  const begin = async ({ search, tag }: SearchStreamRequest): Promise<{ answer: SearchResponse; tag: bigint }> => {
    if (search === undefined) throw invalidField('search', 'got nothing; needed: a search');
    return { answer: await answer(search), tag };
  };
  for await (const request of requests) {
    const begun = begin(request);
    // An error is told when its turn comes.
    begun.catch(() => {});
    under.push(begun);
    if (under.length >= mostAtOnce) yield await under.shift()!;
  }
  for (const one of under) yield await one;
}
