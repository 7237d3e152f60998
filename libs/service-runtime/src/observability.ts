// The HTTP door for machines that watch the process: Prometheus metrics and liveness.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { collectDefaultMetrics, register, Registry } from 'prom-client';
import { registry as grpcRegistry } from 'nice-grpc-prometheus';

/** A listening HTTP server. */
export interface ObservabilityServer {
  readonly port: number;
  close(): Promise<void>;
}

let defaultMetricsCollected = false;

/**
 * Serves `/metrics`, `/healthz` (200 while the process takes calls, else 503) and `/readyz` (200 while `grpc.health.v1` says that
 * the process is SERVING, else 503), the latter for whoever asks by HTTP only, as the kubelet does where gRPC has TLS.
 */
export async function serveObservability(
  host: string,
  port: number,
  { healthy, ready }: { readonly healthy: () => boolean; readonly ready: () => boolean },
): Promise<ObservabilityServer> {
  if (!defaultMetricsCollected) collectDefaultMetrics();
  defaultMetricsCollected = true;
  const metrics = Registry.merge([register, grpcRegistry]);
  const server: Server = createServer((request, response) => {
    if (request.url === '/healthz' || request.url === '/readyz') {
      const good = request.url === '/healthz' ? healthy() : ready();
      response.writeHead(good ? 200 : 503, { 'content-type': 'text/plain' }).end(good ? 'ok\n' : 'not ready\n');
      return;
    }
    if (request.url !== '/metrics') {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('known: /metrics, /healthz, /readyz\n');
      return;
    }
    metrics.metrics().then(
      (text) => response.writeHead(200, { 'content-type': metrics.contentType }).end(text),
      () => response.writeHead(500).end(),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
