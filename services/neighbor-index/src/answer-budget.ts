// How large an answer may become: counted before what it holds is copied or decoded.
import { KindredError } from '@kindred/errors';
import type { PointId } from './engine/points.js';
import { contractLimits } from './limits.js';

/** Bytes of one answer that are left. */
export interface AnswerBudget {
  /** Counts `bytes` more, if they fit; false, and nothing counted, if they do not. */
  fits(bytes: number): boolean;
  /** Counts `bytes` more. RESOURCE_EXHAUSTED, naming the field to be changed, once the answer would be too large. */
  take(bytes: number): void;
}

/** Bytes of a point or neighbour in a message beside its text id, payload and vector, at most. */
const overheadBytes = 48;

/** A budget of one message. `field`: what of the request makes the answer large; `advice`: what to do. */
export function createAnswerBudget(
  field: string,
  advice: string,
  mostBytes: number = contractLimits.answerBytes,
): AnswerBudget {
  let used = 0;
  const fits = (bytes: number): boolean => {
    if (used + bytes > mostBytes) return false;
    used += bytes;
    return true;
  };
  return {
    fits,
    take(bytes) {
      if (!fits(bytes)) throw tooLarge(field, `an answer above ${mostBytes} bytes; allowed: ${mostBytes}; ${advice}`);
    },
  };
}

/** Bytes of a point or neighbour in an answer, at most. */
export function answerBytesOf(id: PointId, payloadBytes: number, vectorNumbers: number): number {
  return overheadBytes + (typeof id === 'string' ? Buffer.byteLength(id) : 0) + payloadBytes + 4 * vectorNumbers;
}

/** RESOURCE_EXHAUSTED about a field of the request. */
export function tooLarge(field: string, description: string): KindredError {
  const got = `got ${description}`;
  return new KindredError('RESOURCE_EXHAUSTED', `${field}: ${got}`, { violations: [{ field, description: got }] });
}
