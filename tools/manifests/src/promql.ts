// What an expression of PromQL asks for: names of metrics with their label matchers, by Prometheus' own grammar.
import { parser } from '@prometheus-io/lezer-promql';

/** One `name{label="value"}` of an expression. */
export interface MetricSelector {
  readonly name: string;
  readonly matchers: readonly { readonly label: string; readonly operator: string; readonly value: string }[];
}

/** @throws Error with the place of what is no PromQL. */
export function metricSelectors(expression: string): MetricSelector[] {
  const selectors: MetricSelector[] = [];
  const text = (node: { from: number; to: number }): string => expression.slice(node.from, node.to);
  parser.parse(expression).iterate({
    enter(node) {
      if (node.type.isError) throw new Error(`no PromQL at character ${node.from}: ${expression}`);
      if (node.name !== 'VectorSelector') return;
      const name = node.node.getChild('Identifier');
      const matchers = (node.node.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? []).map(
        (matcher) => ({
          label: text(matcher.getChild('LabelName')!),
          operator: text(matcher.getChild('MatchOp')!),
          value: text(matcher.getChild('StringLiteral')!).slice(1, -1),
        }),
      );
      selectors.push({ name: name === null ? '' : text(name), matchers });
    },
  });
  return selectors;
}
