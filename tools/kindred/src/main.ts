// The command line of Kindred: `kindred --help`.
import { createProgram } from './program.js';
import { exitCodes } from './exit-codes.js';
import { endWhenReaderLeft } from './reader-left.js';

endWhenReaderLeft(process.stdout, process.stderr);
try {
  await createProgram().parseAsync();
} catch (thrown) {
  // Commander has written its message; help and version end with code 0, wrong usage with ours.
  const { exitCode } = thrown as { exitCode?: number };
  if (exitCode === undefined) throw thrown;
  process.exitCode = exitCode === 0 ? exitCodes.ok : exitCodes.badInput;
}
