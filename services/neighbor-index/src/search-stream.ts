// Searches of a stream: a few at a time, answered in the order in which they came, each as soon as it is ready.
import { invalidField } from '@kindred/errors';
import { answerInOrder } from '@kindred/service-runtime';
import { contractLimits } from './limits.js';
import type { SearchRequest, SearchResponse, SearchStreamRequest } from '@kindred/protocol/neighbors';

interface Answer {
  readonly answer: SearchResponse;
  readonly tag: bigint;
}

/** Answers with their tags. A failed search ends the stream with its error, after the answers before it. */
export function answerStream(
  requests: AsyncIterable<SearchStreamRequest>,
  answer: (request: SearchRequest) => Promise<SearchResponse>,
): AsyncGenerator<Answer, void, undefined> {
  return answerInOrder(requests, contractLimits.searchesAtOnce, async ({ search, tag }) => {
    if (search === undefined) throw invalidField('search', 'got nothing; needed: a search');
    return { answer: await answer(search), tag };
  });
}
