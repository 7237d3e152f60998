// Variables of the environment that look like settings of a service and are none: most likely mistyped.
import { serviceAddressVariable, variablePrefix, type ServiceName } from './services.js';

/** A variable that a service does not know. */
export interface UnknownVariable {
  readonly name: string;
  /** The setting whose name is nearest. */
  readonly nearest: string;
}

/**
 * Variables of what Kubernetes tells of a Service called `kindred-embedding`, say, which begin as settings do
 * (https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables).
 */
const serviceLink = /_(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$/;
const serviceLinkValue = /^(tcp|udp|sctp):\/\//;

/** The variables in `environment` with the prefix of the service `name` that `schema` has not, by name. Empty ones count as not set. */
export function unknownVariables(
  name: ServiceName,
  environment: Readonly<Record<string, string | undefined>>,
  schema: Readonly<Record<string, unknown>>,
): UnknownVariable[] {
  const prefix = `${variablePrefix(name)}_`;
  const known = Object.keys(schema).filter((setting) => setting.startsWith(prefix));
  const isUnknown = (variable: string): boolean => {
    const value = environment[variable] ?? '';
    if (!variable.startsWith(prefix) || value === '' || Object.hasOwn(schema, variable)) return false;
    // Where this service is, is for the others to read.
    if (variable === serviceAddressVariable(name)) return false;
    return !serviceLink.test(variable) && !serviceLinkValue.test(value);
  };
  return Object.keys(environment)
    .filter(isUnknown)
    .sort()
    .map((variable) => ({ name: variable, nearest: nearestOf(variable, known) }));
}

function nearestOf(text: string, words: readonly string[]): string {
  const distances = words.map((word) => editDistance(text, word));
  return words[distances.indexOf(Math.min(...distances))] ?? '';
}

/** Single characters to insert, remove or replace (Levenshtein 1966). */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
