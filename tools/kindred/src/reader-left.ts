// The end of a process whose output nobody reads any more (`kindred runs | head -1`).
import { exitCodes } from './exit-codes.js';

/** Ends the process without a word, as other programs in a pipe are ended by SIGPIPE, which Node ignores. Services that it started drain. */
export function endWhenReaderLeft(...streams: readonly NodeJS.WriteStream[]): void {
  for (const stream of streams) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      process.exit(exitCodes.readerLeft);
    });
  }
}
