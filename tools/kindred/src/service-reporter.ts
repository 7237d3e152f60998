// Tells people and programs what happens to the services that this command runs.
import type { Output } from './output.js';
import type { ServiceChange } from './service-process.js';
import { formatDuration } from './quantities.js';

/** Makes a listener that reports deaths and returns; the first start is reported by the command itself. */
export function serviceReporter(output: Output): (change: ServiceChange) => void {
  return (change) => {
    if (change.kind === 'ready') {
      if (!change.restarted) return;
      output.text(`service ${change.name} runs again`);
      output.event('service', { service: change.name, state: 'running' });
      return;
    }
    const { name, reason, lastLines, restartInMs } = change;
    output.warn(`service ${name} ended (${reason}); starting it again in ${formatDuration(restartInMs / 1000)}`);
    for (const line of lastLines) output.text(`  ${line}`);
    output.event('service', { service: name, state: 'restarting', reason, lastLines, restartInMs });
  };
}
