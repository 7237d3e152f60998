// Who may call what: tokens with names and roles, and the role that each RPC asks for.
import { createHash, timingSafeEqual } from 'node:crypto';
import { KindredError } from '@kindred/errors';
import { watchFiles, type WatchedFiles } from './watched-files.js';

/**
 * What a caller may do. `read`: ask and compute, without lasting effect; `write`: also change data; `admin`: also manage the
 * service. Each includes the ones before it. In token files `serve` is another word for `read`.
 */
export type Role = 'read' | 'write' | 'admin';

/** The role that an RPC asks for; `open`: none, not even a token. */
export type RpcRole = Role | 'open';

/** One table a gRPC service: the role of each of its RPCs, by method name. A method that is missing does not compile. */
export type RpcRoles<D> = D extends { readonly methods: infer M } ? { readonly [K in keyof M]: RpcRole } : never;

/** Who calls. */
export interface Caller {
  /** From the token file, for the log; never the token. */
  readonly name: string;
  readonly role: Role;
}

/** Tokens by the SHA-256 that they are known by. */
export interface AccessTable {
  /** The token's owner; null if it is nobody's. Takes as long whichever it is. */
  find(token: string): Caller | null;
  readonly names: readonly string[];
}

/** Fewest characters of a token written out in the file: 128 bits in hexadecimal. */
export const minTokenLength = 32;

const roles: readonly Role[] = ['read', 'write', 'admin'];

/** Whether `role` includes what an RPC asks for. */
export function roleAllows(role: Role, asked: RpcRole): boolean {
  return asked === 'open' || roles.indexOf(role) >= roles.indexOf(asked);
}

/**
 * Reads an access file: one `<name> <role> <token>` a line, the token written out or as `sha256:<hex>`; `#` begins a comment.
 * @throws KindredError FAILED_PRECONDITION naming file and line, never the token.
 */
export function parseAccessFile(text: string, file: string): AccessTable {
  const entries: { readonly hash: Buffer; readonly caller: Caller }[] = [];
  const names = new Set<string>();
  text.split(/\r?\n/).forEach((line, i) => {
    const refuse = (problem: string): never => {
      throw new KindredError('FAILED_PRECONDITION', `${file}, line ${i + 1}: ${problem}`, {
        resource: { type: 'file', name: file },
      });
    };
    const content = line.replace(/(^|\s)#.*$/, '').trim();
    if (content === '') return;
    const words = content.split(/\s+/);
    const [name = '', word = '', token = ''] = words;
    if (words.length !== 3) return refuse(`got ${words.length} words; allowed: <name> <role> <token>`);
    if (!/^[\w.@-]{1,64}$/.test(name)) return refuse('a name is 1 to 64 letters, digits, dots, @, _ or -');
    if (names.has(name)) return refuse(`the name ${name} is taken by a line above`);
    const role = roles.find((known) => known === (word === 'serve' ? 'read' : word));
    if (role === undefined) return refuse(`the second word is a role; allowed: serve, ${roles.join(', ')}`);
    const hash = hashIn(token);
    if (hash === null)
      return refuse(
        `a token has ${minTokenLength} characters or more, or is written as sha256:<64 hexadecimal digits>`,
      );
    if (entries.some((entry) => entry.hash.equals(hash))) return refuse('the token is that of a line above');
    names.add(name);
    entries.push({ hash, caller: { name, role } });
  });
  return {
    names: [...names],
    find(token) {
      const hash = sha256(token);
      let found: Caller | null = null;
      // All are compared, so that the time tells neither whether nor where one matched.
      for (const entry of entries) if (timingSafeEqual(entry.hash, hash)) found = entry.caller;
      return found;
    },
  };
}

/** Reads an access file and follows its changes; see {@link parseAccessFile}. */
export function watchAccessFile(
  file: string,
  watch: {
    readonly intervalMs?: number;
    readonly onReplaced?: (table: AccessTable) => void;
    readonly onRejected?: (error: KindredError) => void;
  } = {},
): WatchedFiles<AccessTable> {
  return watchFiles({ files: [file], parse: ([content]) => parseAccessFile(String(content), file), ...watch });
}

/**
 * Joins the tables of a process into one, by full path (`/kindred.training.v1.TrainingService/StartRun`).
 * @throws KindredError FAILED_PRECONDITION naming a method without a role, and a role without a method.
 */
export function rolesByPath(
  service: string,
  methods: Readonly<Record<string, { readonly name: string }>>,
  table: Readonly<Record<string, RpcRole>>,
): Map<string, RpcRole> {
  const missing = Object.keys(methods).filter((method) => table[method] === undefined);
  const unknown = Object.keys(table).filter((method) => methods[method] === undefined);
  if (missing.length > 0 || unknown.length > 0) {
    const problems = [
      missing.length > 0 ? `no role for ${missing.join(', ')}` : '',
      unknown.length > 0 ? `no such RPC as ${unknown.join(', ')}` : '',
    ].filter((problem) => problem !== '');
    throw new KindredError(
      'FAILED_PRECONDITION',
      `roles of ${service}: ${problems.join('; ')}; mend its table of roles`,
    );
  }
  return new Map(
    Object.entries(methods).map(([method, { name }]) => [`/${service}/${name}`, table[method] as RpcRole]),
  );
}

function hashIn(token: string): Buffer | null {
  if (/^sha256:/.test(token)) return /^sha256:[0-9a-f]{64}$/i.test(token) ? Buffer.from(token.slice(7), 'hex') : null;
  return token.length < minTokenLength ? null : sha256(token);
}

function sha256(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
