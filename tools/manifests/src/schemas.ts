// JSON schemas of Kubernetes' kinds for kubeconform, made from the API's own description: fields that a kind does not have are refused.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A schema of JSON; only the fields that are read here. */
interface Schema {
  type?: string;
  properties?: Record<string, Schema>;
  additionalProperties?: Schema | boolean;
  items?: Schema;
  $ref?: string;
  enum?: unknown[];
  oneOf?: Schema[];
  [field: string]: unknown;
}

/** What `api/openapi-spec/swagger.json` of k8s.io/kubernetes holds. */
export interface OpenApi {
  readonly definitions: Readonly<Record<string, Schema>>;
}

/** A CustomResourceDefinition, as far as its schemas go. */
export interface CustomResource {
  readonly kind: 'CustomResourceDefinition';
  readonly spec: {
    readonly group: string;
    readonly names: { readonly kind: string };
    readonly versions: readonly { readonly name: string; readonly schema: { readonly openAPIV3Schema: Schema } }[];
  };
}

/** Name patterns of the files in the folder, for kubeconform's `-schema-location`. */
export const schemaFilePattern = '{{ .ResourceKind }}{{ .KindSuffix }}.json';

/** Written as a number or a text. */
const numberOrText: Schema = { oneOf: [{ type: 'string' }, { type: 'number' }] };
const definitionsPrefix = '#/definitions/';

/** Writes a schema a kind into `folder`; returns the number of kinds. */
export function writeSchemas(folder: string, api: OpenApi, customResources: readonly CustomResource[]): number {
  mkdirSync(folder, { recursive: true });
  const strict = Object.fromEntries(
    Object.entries(api.definitions).map(([name, schema]) => [name, definition(name, schema)]),
  );
  let kinds = 0;
  const write = (group: string, version: string, kind: string, schema: Schema): void => {
    kinds++;
    writeFileSync(join(folder, fileName(group, version, kind)), JSON.stringify(schema));
  };
  for (const [name, schema] of Object.entries(api.definitions)) {
    const known = schema['x-kubernetes-group-version-kind'] as
      { group: string; version: string; kind: string }[] | undefined;
    const own = known?.length === 1 ? known[0] : undefined;
    if (own === undefined) continue;
    const definitions: Record<string, Schema> = {};
    gather(name, strict, definitions);
    write(own.group, own.version, own.kind, { $ref: definitionsPrefix + name, definitions });
  }
  for (const { spec } of customResources) {
    for (const { name, schema } of spec.versions) {
      write(spec.group, name, spec.names.kind, custom(schema.openAPIV3Schema, true));
    }
  }
  return kinds;
}

/** As kubeconform asks for it: `deployment-apps-v1.json`, `service-v1.json`. */
function fileName(group: string, version: string, kind: string): string {
  const first = group.split('.')[0] ?? '';
  return `${[kind.toLowerCase(), first, version].filter((part) => part !== '').join('-')}.json`;
}

/** A built-in type: closed, with the texts that may also be numbers opened. */
function definition(name: string, schema: Schema): Schema {
  if (name.endsWith('.IntOrString') || name.endsWith('.resource.Quantity')) return numberOrText;
  if (schema.properties === undefined) return schema;
  return { ...schema, additionalProperties: false };
}

/** Adds `name` and all that it refers to. */
function gather(name: string, from: Readonly<Record<string, Schema>>, into: Record<string, Schema>): void {
  const schema = from[name];
  if (schema === undefined || into[name] !== undefined) return;
  into[name] = schema;
  const text = JSON.stringify(schema);
  for (const [, referred = ''] of text.matchAll(/"\$ref":"#\/definitions\/([^"]+)"/g)) gather(referred, from, into);
}

/** A custom type: closed wherever it names its fields and does not say that it keeps others. */
function custom(schema: Schema, root = false): Schema {
  const closed: Schema = { ...schema };
  if (schema['x-kubernetes-int-or-string'] === true) return numberOrText;
  if (schema.items !== undefined) closed.items = custom(schema.items);
  if (typeof schema.additionalProperties === 'object')
    closed.additionalProperties = custom(schema.additionalProperties);
  if (schema.properties === undefined) return closed;
  closed.properties = Object.fromEntries(
    Object.entries(schema.properties).map(([name, field]) => [name, custom(field)]),
  );
  const open = schema['x-kubernetes-preserve-unknown-fields'] === true || schema.additionalProperties !== undefined;
  // The API server knows these of every object; a definition may leave them out.
  if (root) closed.properties = { apiVersion: {}, kind: {}, metadata: {}, ...closed.properties };
  return open ? closed : { ...closed, additionalProperties: false };
}
