// Structured logs: one JSON line an event, ids and sizes, never payloads.
import { pino, type Logger as PinoLogger } from 'pino';
import { logFields } from './call-scope.js';

/** The logger of a process. */
export type Logger = PinoLogger;

/** Makes the logger of the process `name`; a line within a call carries the ids of its request and trace. Level from `KINDRED_LOG_LEVEL` (default `info`). Lines go to stderr, and to `copy`. */
export function createLogger(
  name: string,
  level = process.env['KINDRED_LOG_LEVEL'] ?? 'info',
  copy: { write(line: string): void } | null = null,
): Logger {
  const known = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];
  const stderr = pino.destination({ dest: 2, sync: true });
  // Which lines there are is the logger's to say, not the streams'.
  const destination =
    copy === null ? stderr : pino.multistream([stderr, copy].map((stream) => ({ level: 'trace', stream })));
  return pino(
    {
      level: known.includes(level) ? level : 'info',
      redact: ['token', 'password', 'secretKey', 'authorization'].flatMap((field) => [field, `*.${field}`]),
      base: { service: name },
      mixin: logFields,
      timestamp: pino.stdTimeFunctions.isoTime,
    },
    destination,
  );
}
