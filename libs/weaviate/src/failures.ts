// What Weaviate and its client say went wrong, in the house's codes. The client turns gRPC statuses into texts, so texts are read.
import { KindredError, isKindredError, notFound, type ErrorCode } from '@kindred/errors';

/** When a repeat may find what was missing: a node that is back, or one that was found dead. */
const retryMs = 250;

/** Names of gRPC's codes as nice-grpc's errors put them before the details. */
const status =
  /(?:^|\s)(UNAVAILABLE|RESOURCE_EXHAUSTED|DEADLINE_EXCEEDED|UNAUTHENTICATED|PERMISSION_DENIED|CANCELLED|UNKNOWN|INTERNAL|INVALID_ARGUMENT):/;
/** The node does not answer. */
const silence =
  /fetch failed|ECONNREFUSED|ECONNRESET|EPIPE|socket hang up|No connection established|Connection dropped|channel (?:has been )?(?:closed|shut ?down)|Channel closed|closed channel|timed out|health check/i;
/** The node answers, but not enough others do, or it has only just begun to. */
const shortage =
  /cannot (?:reach enough replicas|achieve consistency)|consistency level|leader not found|no leader|replicas?\b.*(?:unavailable|failed|not found)|not (?:yet )?ready|shutting down|resolve node name|broadcast|connection refused|context deadline exceeded|does not exist in the cluster|shard .* (?:not loaded|not found)/i;
const full = /read-?only|no space|disk usage|memory (?:pressure|limit)|not enough memory|too many requests|rate limit/i;
const missing = /(?:class|collection) .*(?:not found|does not exist)|could not find class|not found in schema/i;

/** Gives what a call threw a code; `address` is the node that was asked, `collection` what for. */
export function fromWeaviate(thrown: unknown, address: string, collection = ''): KindredError {
  if (isKindredError(thrown)) return thrown;
  const { text, httpCode } = said(thrown);
  const code = codeOf(text, httpCode);
  const detail = text.length > 500 ? `${text.slice(0, 500)}…` : text;
  if (code === 'silent') {
    return silentNode(address, detail, thrown);
  }
  if (code === 'NOT_FOUND') return notFound('class', collection);
  const fields = { resource: { type: 'service', name: 'weaviate' }, cause: thrown };
  if (code === 'UNAVAILABLE') {
    return new KindredError(code, `Weaviate cannot do this now: ${detail}`, { ...fields, retryAfterMs: retryMs });
  }
  const advice: Partial<Record<ErrorCode, string>> = {
    RESOURCE_EXHAUSTED: '; free space or memory on its nodes',
    FAILED_PRECONDITION: '; check KINDRED_NEIGHBOR_INDEX_WEAVIATE_KEY_FILE',
  };
  return new KindredError(code, `Weaviate refused: ${detail}${advice[code] ?? ''}`, fields);
}

/** Whether the node that was asked did not answer at all, so that another one may. */
export function isSilent(thrown: unknown): boolean {
  return isKindredError(thrown, 'UNAVAILABLE') && thrown.resource?.type === resourceType;
}

/** The error of a node that does not answer. */
export function silentNode(address: string, detail: string, cause?: unknown): KindredError {
  return new KindredError('UNAVAILABLE', `Weaviate's node ${address} does not answer: ${detail}`, {
    resource: { type: resourceType, name: address },
    cause,
  });
}

const resourceType = 'weaviate-node';

function codeOf(text: string, httpCode: number | null): ErrorCode | 'silent' {
  const grpc = status.exec(text)?.[1];
  if (httpCode === 401 || httpCode === 403 || grpc === 'UNAUTHENTICATED' || grpc === 'PERMISSION_DENIED') {
    return 'FAILED_PRECONDITION';
  }
  if (httpCode === 404 || missing.test(text)) return 'NOT_FOUND';
  if (httpCode === 429 || grpc === 'RESOURCE_EXHAUSTED' || full.test(text)) return 'RESOURCE_EXHAUSTED';
  if (grpc === 'UNAVAILABLE' || grpc === 'DEADLINE_EXCEEDED' || grpc === 'CANCELLED') return 'silent';
  // With a status, the node has answered, and speaks of others.
  if (silence.test(text)) return httpCode === null && grpc === undefined ? 'silent' : 'UNAVAILABLE';
  if (shortage.test(text)) return 'UNAVAILABLE';
  if (httpCode !== null && httpCode >= 502) return 'UNAVAILABLE';
  return 'INTERNAL';
}

/** An error's text with those below it, and the HTTP status that the client keeps as a field. */
function said(thrown: unknown): { readonly text: string; readonly httpCode: number | null } {
  if (!(thrown instanceof Error)) return { text: String(thrown), httpCode: null };
  const { code } = thrown as { code?: unknown };
  const causes: string[] = [thrown.message];
  for (let cause = thrown.cause; cause instanceof Error && causes.length < 5; cause = cause.cause) {
    causes.push(cause.message || String((cause as NodeJS.ErrnoException).code));
  }
  if (thrown.name === 'WeaviateUnauthenticatedError') return { text: causes.join(': '), httpCode: 401 };
  return { text: causes.join(': '), httpCode: typeof code === 'number' && code >= 400 ? code : null };
}
