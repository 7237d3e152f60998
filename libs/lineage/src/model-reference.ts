// How a model is named: `name`, `name@3`, `name@production`, or the id of a run.
import { invalidField } from '@kindred/errors';

/** A parsed reference. */
export interface ModelReference {
  readonly name: string;
  /** A version's number, or an alias; `latest` where the text gives neither. */
  readonly version: number | string;
  /** Whether the text gave the version or alias. */
  readonly explicit: boolean;
}

/** The alias that always is the newest version; it moves by itself. */
export const latestAlias = 'latest';

const nameForm = /^[a-z0-9][a-z0-9._-]{0,99}$/;
const aliasForm = /^[a-z][a-z0-9-]{0,62}$/;
const versionForm = /^[1-9][0-9]{0,8}$/;

/** Parses a reference. @throws KindredError INVALID_ARGUMENT saying what is allowed. */
export function parseModelReference(text: string, field = 'model'): ModelReference {
  const at = text.indexOf('@');
  const name = at < 0 ? text : text.slice(0, at);
  const version = at < 0 ? latestAlias : text.slice(at + 1);
  if (!nameForm.test(name))
    throw invalidField(field, `got '${text}'; allowed: ${allowedName}, then @VERSION or @ALIAS`);
  if (versionForm.test(version)) return { name, version: Number(version), explicit: true };
  if (aliasForm.test(version)) return { name, version, explicit: at >= 0 };
  throw invalidField(field, `got '${text}'; allowed after @: a version from 1, or an alias (${allowedAlias})`);
}

const allowedName = '1 to 100 lower-case letters, digits, dots, dashes and underscores, the first a letter or digit';
const allowedAlias = 'a lower-case letter, then up to 62 lower-case letters, digits and dashes';

/** Returns `name` if a model may be called so. @throws KindredError INVALID_ARGUMENT otherwise. */
export function checkedModelName(name: string): string {
  if (nameForm.test(name)) return name;
  throw invalidField('name', `got '${name}'; allowed: ${allowedName}`);
}

/** Returns `alias` if a person may move it. @throws KindredError INVALID_ARGUMENT otherwise. */
export function checkedAlias(alias: string): string {
  if (alias === latestAlias) {
    throw invalidField(
      'alias',
      `got '${latestAlias}', which is the newest version by itself; allowed: any other alias`,
    );
  }
  if (aliasForm.test(alias)) return alias;
  throw invalidField('alias', `got '${alias}'; allowed: ${allowedAlias}`);
}
