// Asks the services for their health once a second, so that a silent one is named within seconds.
import { KindredError } from '@kindred/errors';
import { HealthDefinition, connect, type ServiceName } from '@kindred/service-runtime';

/** Which services, and who wants to know. */
export interface HealthMonitorOptions {
  readonly addresses: Readonly<Partial<Record<ServiceName, string>>>;
  /** Called when a service stops to answer, and when it answers again. */
  readonly onChange: (service: ServiceName, healthy: boolean, address: string) => void;
  /** Pause between two questions. @default 1000 */
  readonly intervalMs?: number;
  /** Longest wait for an answer. @default 2500 */
  readonly deadlineMs?: number;
}

/** A monitor at work. */
export interface HealthMonitor {
  /** Names of the services that did not answer last time. */
  silent(): ServiceName[];
  /**
   * Returns when all services have answered a question asked after this call.
   * @throws KindredError UNAVAILABLE naming the silent ones after `patienceMs`; CANCELLED when `signal` is aborted.
   */
  untilHealthy(patienceMs: number, signal: AbortSignal): Promise<void>;
  close(): void;
}

/** Starts to watch. */
export function createHealthMonitor(options: HealthMonitorOptions): HealthMonitor {
  const { intervalMs = 1000, deadlineMs = 2500 } = options;
  const closed = new AbortController();
  const healthy = new Map<ServiceName, boolean>();
  // Questions overlap (the loop's, and those of `untilHealthy`): an answer counts only if no later question was answered.
  const answered = new Map<ServiceName, number>();
  let questions = 0;
  const connections = (Object.entries(options.addresses) as Array<[ServiceName, string]>).map(([service, address]) => ({
    service,
    ...connect(HealthDefinition, { service, address }),
  }));

  const ask = async (): Promise<boolean> => {
    const question = ++questions;
    const answers = await Promise.all(
      connections.map(async ({ service, client, address }) => {
        const answer = await client
          .check({ service: '' }, { signal: AbortSignal.any([AbortSignal.timeout(deadlineMs), closed.signal]) })
          .then(
            ({ status }) => status === 1,
            () => false,
          );
        if (question < (answered.get(service) ?? 0)) return answer;
        answered.set(service, question);
        if (!closed.signal.aborted && (healthy.get(service) ?? true) !== answer)
          options.onChange(service, answer, address);
        healthy.set(service, answer);
        return answer;
      }),
    );
    return answers.every((answer) => answer);
  };
  const loop = async (): Promise<void> => {
    while (!closed.signal.aborted) {
      await ask();
      await pause(intervalMs, closed.signal);
    }
  };
  const silent = (): ServiceName[] => [...healthy].filter(([, answer]) => !answer).map(([service]) => service);
  void loop();

  return {
    silent,
    async untilHealthy(patienceMs, signal) {
      const deadline = Date.now() + patienceMs;
      while (!(await ask())) {
        if (signal.aborted) throw new KindredError('CANCELLED', 'interrupted');
        if (Date.now() > deadline) {
          const names = silent();
          throw new KindredError(
            'UNAVAILABLE',
            `no answer from ${names.join(', ')} for ${Math.round(patienceMs / 1000)} s; start it again`,
            { resource: { type: 'service', name: names[0] ?? '' } },
          );
        }
        await pause(250, signal);
      }
    },
    close() {
      closed.abort();
      for (const connection of connections) connection.close();
    },
  };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done, { once: true });
  });
}
