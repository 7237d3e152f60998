// Errors: one class, one closed set of codes.
export { errorCodes } from './codes.js';
export type { ErrorCode } from './codes.js';
export {
  KindredError,
  deserializeError,
  invalidField,
  isKindredError,
  notFound,
  serializeError,
  toKindredError,
} from './kindred-error.js';
export type { ErrorFields, FieldViolation, ResourceReference, SerializedError } from './kindred-error.js';
