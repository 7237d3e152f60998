// Structured logs: one JSON line an event, ids and sizes, never payloads.
import { pino, type Logger as PinoLogger } from 'pino';
import { logFields } from './call-scope.js';

/** The logger of a process. */
export type Logger = PinoLogger;

/** Makes the logger of the process `name`; a line within a call carries the ids of its request and trace. Level from `KINDRED_LOG_LEVEL` (default `info`). Lines go to stderr. */
export function createLogger(name: string, level = process.env['KINDRED_LOG_LEVEL'] ?? 'info'): Logger {
  const known = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];
  return pino(
    {
      level: known.includes(level) ? level : 'info',
      redact: ['token', 'password', 'secretKey', 'authorization'].flatMap((field) => [field, `*.${field}`]),
      base: { service: name },
      mixin: logFields,
      timestamp: pino.stdTimeFunctions.isoTime,
    },
    pino.destination({ dest: 2, sync: true }),
  );
}
