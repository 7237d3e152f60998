// Alerts, dashboards and autoscalers against what running services export: a name or a label of nobody's never fires.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@kindred/testing';
import { beforeAll, describe, expect, it } from 'vitest';
import { manifestsFolder, readFolder } from './manifest-files.js';
import { metricSelectors } from './promql.js';
import { scrapeServices, type Exported } from './scraped-services.js';

/** Metrics of others, with who exports them. */
const others: Readonly<Record<string, string>> = {
  up: 'Prometheus itself',
  kubelet_volume_stats_available_bytes: 'kubelet',
  kubelet_volume_stats_capacity_bytes: 'kubelet',
};
/** Labels that Prometheus adds to every series that it scrapes in a cluster. */
const added = new Set(['namespace', 'job', 'pod', 'instance', 'service', 'endpoint', 'container']);

const components = join(manifestsFolder, 'components');
const alerts = (readFolder(join(components, 'monitoring')).get('alerts.yaml')?.[0]?.spec.groups ?? []).flatMap(
  ({ rules }: { rules: { alert: string; expr: string }[] }) => rules.map(({ alert, expr }) => [alert, expr] as const),
) as [string, string][];
const dashboard = JSON.parse(readFileSync(join(components, 'monitoring/dashboards/kindred.json'), 'utf8')) as {
  panels: { title: string; targets?: { expr: string; legendFormat: string }[] }[];
};
const panels = dashboard.panels.flatMap(({ title, targets = [] }) =>
  // Grafana's variables stand for a name and a duration.
  targets.map(({ expr }): [string, string] => [title, expr.replaceAll('$__rate_interval', '1m')]),
);
const triggers = (
  readFolder(join(components, 'keda')).get('scaled-object.yaml')?.[0]?.spec.triggers as {
    name: string;
    metadata: { query: string };
  }[]
).map(({ name, metadata }): [string, string] => [name, metadata.query]);

describe('expressions', () => {
  let exported: Exported[];
  beforeAll(async () => {
    exported = [...(await scrapeServices(temporaryFolder('kindred-metrics'))).values()];
  });

  /** Series of a name, and whether a service knows it: a histogram's are `_bucket`, `_sum` and `_count`. */
  const known = (name: string) => {
    const parent = name.replace(/_(bucket|sum|count)$/, '');
    return {
      typed: exported.some(
        ({ types }) => (types.has(name) && types.get(name) !== 'histogram') || types.get(parent) === 'histogram',
      ),
      series: exported.flatMap(({ series }) => series.get(name) ?? []),
    };
  };

  it.each([...alerts, ...panels, ...triggers])('%s asks for what is there', (_, expression) => {
    const selectors = metricSelectors(expression);
    expect(selectors.length).toBeGreaterThan(0);
    for (const { name, matchers } of selectors) {
      if (others[name] !== undefined) continue;
      const { typed, series } = known(name);
      expect(typed, `${name} is exported by a service`).toBe(true);
      for (const { label } of matchers) {
        if (added.has(label) || series.length === 0) continue;
        expect(
          series.some((labels) => labels.has(label)),
          `${name} has the label ${label}`,
        ).toBe(true);
      }
    }
  });

  it('name codes of gRPC as the services write them', () => {
    const written = new Set(known('grpc_server_handled_total').series.map((labels) => labels.get('grpc_code')));
    expect([...written]).toEqual(expect.arrayContaining(['OK', 'NOT_FOUND']));
    const codes = [...alerts, ...panels]
      .flatMap(([, expression]) => metricSelectors(expression))
      .flatMap(({ matchers }) => matchers.filter(({ label }) => label === 'grpc_code'))
      .flatMap(({ value }) => value.split('|'));
    expect(codes.length).toBeGreaterThan(0);
    for (const code of codes) expect(code).toMatch(/^[A-Z]+(_[A-Z]+)*$/);
  });

  it('of nothing that exists are seen', () => {
    expect(known('kindred_embedding_queue_image').typed).toBe(false);
    expect(known('grpc_server_handling_seconds').typed).toBe(true);
    expect(() => metricSelectors('sum by (job (x)')).toThrow('no PromQL');
  });
});

describe('alerts', () => {
  it('have names of their own, a summary and a severity', () => {
    const rules = readFolder(join(components, 'monitoring'))
      .get('alerts.yaml')?.[0]
      ?.spec.groups.flatMap(({ rules: some }: { rules: unknown[] }) => some) as {
      alert: string;
      labels: { severity: string };
      annotations: { summary: string };
    }[];
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
    for (const { labels, annotations } of rules) {
      expect(['critical', 'warning']).toContain(labels.severity);
      expect(annotations.summary).toMatch(/\.$/);
    }
  });

  it('are each explained in docs/kubernetes.md', () => {
    const text = readFileSync(join(manifestsFolder, '../../docs/kubernetes.md'), 'utf8');
    for (const [name] of alerts) expect(text).toContain(`\`${name}\``);
  });
});
