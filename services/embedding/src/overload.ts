// Refuses calls while all queues are full, before their messages are read: a refusal then costs a fraction of an answer.
import { EmbeddingServiceDefinition } from '@kindred/protocol/embedding';
import { GRPCInferenceServiceDefinition } from '@kindred/protocol/inference';
import type { Overload } from '@kindred/service-runtime';
import type { ServedModels } from './models/served-models.js';

/** The RPCs whose calls are refused for want of room. Streams wait for it instead. */
const paths: ReadonlySet<string> = new Set([
  `/${EmbeddingServiceDefinition.fullName}/${EmbeddingServiceDefinition.methods.embed.name}`,
  `/${GRPCInferenceServiceDefinition.fullName}/${GRPCInferenceServiceDefinition.methods.modelInfer.name}`,
]);

/** Of the calls that come while all queues are full, one in so many is read all the same. */
const readOneIn = 64;

/**
 * Says whether a call is refused by its path alone. Which model it asks for is in its message, which is not read: so calls are refused only
 * while no model in use has room, and some are read even then, since one may ask for a model that is not loaded yet. Not to be used
 * with a cache, whose answers need no room.
 */
export function createOverload(models: Pick<ServedModels, 'fullForMs'>): (path: string) => Overload | null {
  let asked = 0;
  return (path) => {
    if (!paths.has(path)) return null;
    const retryAfterMs = models.fullForMs();
    if (retryAfterMs === null) return null;
    asked++;
    if (asked % readOneIn === 0) return null;
    return { text: 'as many images wait already as may; retry later', retryAfterMs };
  };
}
