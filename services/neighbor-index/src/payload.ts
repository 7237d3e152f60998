// Checks of payloads from outside.
import { invalidField } from '@kindred/errors';
import { contractLimits } from './limits.js';

/** The payload as it is. INVALID_ARGUMENT unless it is empty or a JSON object within the limits. */
export function checkedPayload(text: string, field: string): string {
  if (text === '') return text;
  // A text has at least as many bytes as characters: a huge one is refused before it is looked at.
  const bytes = text.length > contractLimits.payloadBytes ? text.length : Buffer.byteLength(text);
  if (bytes > contractLimits.payloadBytes)
    throw invalidField(field, `got ${bytes} bytes; allowed: ${contractLimits.payloadBytes}`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (thrown) {
    throw invalidField(
      field,
      `got what is no JSON (${thrown instanceof Error ? thrown.message : ''}); allowed: a JSON object`,
    );
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalidField(
      field,
      `got ${Array.isArray(value) ? 'an array' : value === null ? 'null' : typeof value}; allowed: a JSON object`,
    );
  }
  if (depthOf(value) > contractLimits.payloadDepth) {
    throw invalidField(
      field,
      `got more than ${contractLimits.payloadDepth} levels; allowed: ${contractLimits.payloadDepth}`,
    );
  }
  return text;
}

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Object.values(value).reduce((most: number, one) => Math.max(most, depthOf(one)), 0);
}
