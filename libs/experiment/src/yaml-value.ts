// YAML text → plain values, with everything refused that YAML can do and an experiment has no use for.
import { LineCounter, isNode, parseDocument } from 'yaml';

/** What a YAML text holds, or what is wrong with it. */
export type YamlReading =
  | { readonly fault: null; readonly value: unknown; lineOf(path: readonly PropertyKey[]): number | null }
  | { readonly fault: string; readonly line: number };

/**
 * Reads one YAML document. Refused, with the line: bad syntax, tags (`!!js/function`), unknown, circular or too many
 * aliases, nesting beyond the parser's stack. `lineOf` gives the line that a value is on, from 1.
 */
export function readYaml(text: string): YamlReading {
  const lines = new LineCounter();
  try {
    // 'error': a fault is kept in the document; nothing is written to the process's warnings.
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: 'error' });
    const fault = document.errors[0] ?? document.warnings[0];
    if (fault !== undefined) return { fault: fault.message, line: lines.linePos(fault.pos[0]).line };
    const value: unknown = document.toJS();
    // Throws where an alias lies inside its own anchor.
    JSON.stringify(value);
    return {
      fault: null,
      value,
      lineOf(path) {
        const node = document.getIn(path.map(String), true);
        if (!isNode(node) || node.range === undefined || node.range === null) return null;
        return lines.linePos(node.range[0]).line;
      },
    };
  } catch (thrown) {
    if (thrown instanceof TypeError) return { fault: 'an alias lies inside its own anchor', line: 1 };
    return { fault: thrown instanceof Error ? thrown.message : String(thrown), line: 1 };
  }
}

/** A mapping of keys, as against a list, a scalar or nothing. */
export function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value at `path`; undefined where there is none. */
export function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let here = value;
  for (const key of path) {
    if (typeof here !== 'object' || here === null || !Object.hasOwn(here, key)) return undefined;
    here = (here as Record<PropertyKey, unknown>)[key];
  }
  return here;
}
