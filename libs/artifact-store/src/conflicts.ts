// What a conditional put or delete says when the object is not the one that its caller knows.
import { KindredError } from '@kindred/errors';

/** ALREADY_EXISTS: an object that was not to be replaced. */
export function exists(key: string): KindredError {
  return new KindredError('ALREADY_EXISTS', `artifact '${key}' exists already`, {
    resource: { type: 'artifact', name: key },
  });
}

/** ABORTED: the object is gone, or has been replaced since its etag was read. */
export function changed(key: string): KindredError {
  return new KindredError('ABORTED', `artifact '${key}' was changed by another writer; read it again and repeat`, {
    resource: { type: 'artifact', name: key },
  });
}
