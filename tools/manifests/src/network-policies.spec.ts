// The network policies against the picture of ARCHITECTURE.md: what it draws is open, on both sides, and nothing else.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { services } from '@kindred/service-runtime';
import { describe, expect, it } from 'vitest';
import { checkoutRoot, manifestsFolder, podTemplateOf, readFolder, type Manifest } from './manifest-files.js';

const policies = ['network-policies', 'minio', 'weaviate']
  .flatMap((name) => [...readFolder(join(manifestsFolder, 'components', name)).values()].flat())
  .filter(({ kind }) => kind === 'NetworkPolicy');

/** Names in the policies by those in the picture; a run's pods do what the trainer's box stands for. */
const namesInPicture: Readonly<Record<string, string>> = {
  'data-augmentation': 'aug',
  trainer: 'trainer',
  'training-run': 'trainer',
  embedding: 'embedding',
  'neighbor-index': 'index',
  minio: 'store',
  weaviate: 'weaviate',
  application: 'app',
  operator: 'command',
};

interface Selector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly { key: string; operator: string; values: string[] }[];
}

/** Names that a selector stands for, by the label `key`. */
function selected(selector: Selector, key: string): string[] {
  const one = selector.matchLabels?.[key];
  if (one !== undefined) return [one];
  return selector.matchExpressions?.find((expression) => expression.key === key)?.values ?? [];
}
const pods = (selector: Selector) => selected(selector, 'app.kubernetes.io/name');

interface Peer {
  readonly podSelector?: Selector;
  readonly namespaceSelector?: Selector;
}

/** `caller → callee:port` for each arrow that the policies leave open on one side. */
function arrows(direction: 'ingress' | 'egress'): Set<string> {
  const found = new Set<string>();
  for (const { spec } of policies) {
    for (const rule of spec[direction] ?? []) {
      const peers: Peer[] = rule[direction === 'ingress' ? 'from' : 'to'] ?? [
        { podSelector: { matchLabels: { 'app.kubernetes.io/name': 'API server' } } },
      ];
      for (const peer of peers) {
        const names =
          peer.namespaceSelector === undefined
            ? pods(peer.podSelector ?? {})
            : selected(peer.namespaceSelector, 'kindred.dev/access');
        for (const name of names) {
          for (const own of pods(spec.podSelector)) {
            for (const { port } of rule.ports) {
              found.add(direction === 'ingress' ? `${name} → ${own}:${port}` : `${own} → ${name}:${port}`);
            }
          }
        }
      }
    }
  }
  return found;
}

/** Pairs of boxes that the picture joins, each in alphabetical order: an arrow shows the way of the data, not who calls. */
function drawnPairs(): Set<string> {
  const text = readFileSync(join(checkoutRoot, 'ARCHITECTURE.md'), 'utf8');
  const picture = /```mermaid\n([\s\S]*?)```/.exec(text)?.[1] ?? '';
  const pairs = new Set<string>();
  for (const line of picture.split('\n')) {
    const bare = line
      .replaceAll(/"[^"]*"/g, '')
      .replace(/-- \w+ -->/, '-->')
      .replaceAll(/\[\(.*?\)\]|\[.*?\]/g, '');
    const [, from = '', to = ''] = /^\s*(\S[^-=.]*?)\s*(?:[-=.]+\s*)+>\s*(.+?)\s*$/.exec(bare) ?? [];
    for (const a of from.split('&')) {
      for (const b of to.split('&'))
        if (a.trim() !== '' && b.trim() !== '') pairs.add([a.trim(), b.trim()].sort().join(' – '));
    }
  }
  return pairs;
}

/** All ports that a node of Weaviate listens on. */
function portsOfWeaviate(): number[] {
  const objects = [...readFolder(join(manifestsFolder, 'components/weaviate')).values()].flat();
  const pod = podTemplateOf(
    objects.find(({ metadata, kind }) => kind === 'StatefulSet' && metadata.name === 'weaviate')!,
  )!;
  return pod.spec.containers[0].ports.map(({ containerPort }: { containerPort: number }) => containerPort);
}

describe('network policies', () => {
  it('deny everything first', () => {
    const denying = policies.find(({ metadata }) => metadata.name === 'deny-all') as Manifest;
    expect(denying.spec).toEqual({ podSelector: {}, policyTypes: ['Ingress', 'Egress'] });
  });

  it('say for which direction they are', () => {
    for (const { metadata, spec } of policies) {
      const opened = [spec.ingress && 'Ingress', spec.egress && 'Egress'].filter(Boolean);
      for (const direction of opened) expect(spec.policyTypes, metadata.name).toContain(direction);
    }
  });

  it('open the arrows of ARCHITECTURE.md and no other', () => {
    const open = [...arrows('ingress'), ...arrows('egress')]
      .map((arrow) => arrow.replace(/:\d+$/, '').split(' → ') as [string, string])
      // Nodes of one cluster among themselves are one box.
      .filter(([from, to]) => from !== to)
      .map(([from, to]) => [namesInPicture[from] ?? 'api', namesInPicture[to] ?? 'api'].sort().join(' – '));
    const drawn = drawnPairs();
    expect(drawn.size).toBeGreaterThan(10);
    // Image files are mounted or pushed; nothing is called for them.
    drawn.delete('aug – files');
    expect([...new Set(open)].sort()).toEqual([...drawn].sort());
  });

  it('open each arrow between pods on both sides, on the port of the one who is called', () => {
    const [ingress, egress] = [arrows('ingress'), arrows('egress')];
    const within = [...ingress].filter((arrow) => !/^(application|operator) →/.test(arrow)).sort();
    expect([...egress].filter((arrow) => !arrow.includes('API server')).sort()).toEqual(within);
    const ports: Record<string, number[]> = { minio: [9000], 'neighbor-index → weaviate': [8080, 50051] };
    for (const [name, { port }] of Object.entries(services)) ports[name] = [port];
    ports['weaviate → weaviate'] = portsOfWeaviate().filter((port) => ![8080, 50051, 2112].includes(port));
    const opened = new Map<string, Set<number>>();
    for (const arrow of ingress) {
      const [, pair = '', callee = '', port] = /^(.* → (.*)):(\d+)$/.exec(arrow) ?? [];
      expect(ports[pair] ?? ports[callee], arrow).toContain(Number(port));
      opened.set(pair, (opened.get(pair) ?? new Set()).add(Number(port)));
    }
    for (const [pair, found] of opened)
      expect([...found].sort(), pair).toEqual([...new Set(ports[pair] ?? ports[pair.split(' → ')[1]!])].sort());
  });

  it('let the trainer alone reach the API server', () => {
    const callers = [...arrows('egress')].filter((arrow) => arrow.includes('API server'));
    expect(callers.sort()).toEqual([
      'trainer → API server:16443',
      'trainer → API server:443',
      'trainer → API server:6443',
    ]);
  });
});
