// Keeps a MinIO server as its child, and ends it when the command that started this process is gone, however that ended.
import { spawn } from 'node:child_process';

/** What to run. */
export interface MinioCommand {
  readonly program: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

process.once('message', ({ program, args, environment }: MinioCommand) => {
  const server = spawn(program, [...args], { env: { ...process.env, ...environment }, stdio: ['ignore', 1, 2] });
  server.once('error', (error) => {
    process.stderr.write(`minio could not be started: ${error.message}\n`);
    process.exit(1);
  });
  server.once('exit', (code) => process.exit(code ?? 1));
  process.on('disconnect', () => server.kill('SIGTERM'));
  process.on('SIGTERM', () => server.kill('SIGTERM'));
});
// Ctrl-C in a terminal reaches the whole process group; the command ends the server after the services.
process.on('SIGINT', () => {});
