// `node tools/setup/go-program.mjs NAME`: prints the path of a program written in Go, built first where it is not cached.
import { provisionGo } from './src/go-programs.mjs';
import { ExitCode, SetupError } from './src/setup-error.mjs';

// A stopped build takes its compiler with it.
process.once('SIGINT', () => process.exit(130));
process.once('SIGTERM', () => process.exit(143));

const [name = ''] = process.argv.slice(2);
try {
  const progress = (/** @type {string} */ words) => console.error(`${name}: ${words}`);
  console.log(
    await provisionGo(/** @type {keyof typeof import('./src/go-programs.mjs').goPrograms} */ (name), { progress }),
  );
} catch (error) {
  const { message, advice = '' } = /** @type {SetupError} */ (error);
  console.error([message, advice].join('\n'));
  process.exitCode = error instanceof SetupError ? error.exitCode : ExitCode.failed;
}
