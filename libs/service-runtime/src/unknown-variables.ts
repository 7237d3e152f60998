// Variables of the environment that look like settings of a service and are none: most likely mistyped.
import { closest } from 'fastest-levenshtein';
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
    .map((variable) => ({ name: variable, nearest: closest(variable, known) }));
}
