// How a process shows itself to the services that it calls: TLS, a certificate of its own, a token.
import { isIP } from 'node:net';
import { ChannelCredentials } from '@grpc/grpc-js';
import { KindredError } from '@kindred/errors';
import { clientCertificates } from './certificates.js';
import { fields, readConfig } from './config.js';
import { watchFiles, type WatchedFiles } from './watched-files.js';

/** What a client needs to be let in. */
export interface ClientSecurity {
  /** Whether connections use TLS. */
  readonly tls: boolean;
  /** PEM file of the authorities of the services' certificates; null: those that Node trusts. */
  readonly caFile: string | null;
  /** PEM file of the certificate to show (mTLS); null: none. */
  readonly certFile: string | null;
  /** PEM file of its key. */
  readonly keyFile: string | null;
  /** Name that the services' certificates carry; null: the host of the address. */
  readonly serverName: string | null;
  /** File that holds one token; null: none is sent. */
  readonly tokenFile: string | null;
  /** Send tokens without TLS to other machines, too: the network itself encrypts. */
  readonly plaintextTokens: boolean;
  /** Pause between two looks at these files, in milliseconds. @default 5000 */
  readonly reloadMs?: number;
}

/** Material of a connection. */
export interface ClientCredentials {
  readonly channel: ChannelCredentials;
  readonly serverName: string | null;
  /** The token of this moment; null: none is sent. */
  token(): string | null;
}

/** No TLS, no token. */
export const openClient: ClientSecurity = {
  tls: false,
  caFile: null,
  certFile: null,
  keyFile: null,
  serverName: null,
  tokenFile: null,
  plaintextTokens: false,
};

const schema = {
  KINDRED_TLS: fields.flag().default(false),
  KINDRED_CA_FILE: fields.text().optional(),
  KINDRED_CLIENT_CERT_FILE: fields.text().optional(),
  KINDRED_CLIENT_KEY_FILE: fields.text().optional(),
  KINDRED_SERVER_NAME: fields.text().optional(),
  KINDRED_TOKEN_FILE: fields.text().optional(),
  KINDRED_PLAINTEXT_TOKENS: fields.flag().default(false),
  KINDRED_RELOAD_MS: fields.integer(100, 3_600_000).default(5000),
};

/**
 * Reads the client's side from the environment. TLS is used with `KINDRED_TLS=1`, and wherever a certificate file is named.
 * @throws KindredError INVALID_ARGUMENT naming each variable that cannot be used.
 */
export function clientSecurity(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): ClientSecurity {
  const values = readConfig(environment, schema);
  const certFile = values.KINDRED_CLIENT_CERT_FILE ?? null;
  const keyFile = values.KINDRED_CLIENT_KEY_FILE ?? null;
  if ((certFile === null) !== (keyFile === null)) {
    const field = certFile === null ? 'KINDRED_CLIENT_CERT_FILE' : 'KINDRED_CLIENT_KEY_FILE';
    const description = 'is not set; a certificate and its key go together';
    throw new KindredError('INVALID_ARGUMENT', `${field} ${description}`, { violations: [{ field, description }] });
  }
  const caFile = values.KINDRED_CA_FILE ?? null;
  return {
    tls: values.KINDRED_TLS || caFile !== null || certFile !== null,
    caFile,
    certFile,
    keyFile,
    serverName: values.KINDRED_SERVER_NAME ?? null,
    tokenFile: values.KINDRED_TOKEN_FILE ?? null,
    plaintextTokens: values.KINDRED_PLAINTEXT_TOKENS,
    reloadMs: values.KINDRED_RELOAD_MS,
  };
}

/** One set of watched files for all connections of a process that use the same. */
const made = new Map<string, ClientCredentials>();

/**
 * Credentials for a connection to `address`; files are followed as they change.
 * @throws KindredError FAILED_PRECONDITION when a file cannot be used, or a token would travel in plain sight.
 */
export function clientCredentials(security: ClientSecurity, address: string): ClientCredentials {
  if (security.tokenFile !== null && !security.tls && !security.plaintextTokens && !isLoopbackTarget(address)) {
    throw new KindredError(
      'FAILED_PRECONDITION',
      `the token in ${security.tokenFile} is not sent to ${address} without TLS, where others could read it; use TLS ` +
        '(KINDRED_CA_FILE or KINDRED_TLS=1), or set KINDRED_PLAINTEXT_TOKENS=1 where the network itself encrypts',
      { resource: { type: 'file', name: security.tokenFile } },
    );
  }
  const key = JSON.stringify(security);
  const known = made.get(key);
  if (known !== undefined) return known;
  const { caFile, certFile, keyFile, reloadMs: intervalMs, serverName } = security;
  const onRejected = (error: KindredError): void =>
    process.emitWarning(`${error.message}; what was read before stays in use`);
  const channel = security.tls
    ? clientCertificates({ caFile, certFile, keyFile }, { intervalMs, onRejected }).credentials
    : ChannelCredentials.createInsecure();
  const tokens = security.tokenFile === null ? null : watchToken(security.tokenFile, intervalMs, onRejected);
  const credentials: ClientCredentials = { channel, serverName, token: () => tokens?.current() ?? null };
  made.set(key, credentials);
  return credentials;
}

/** Whether what is sent to a host stays on this machine. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[(.*)\]$/, '$1').toLowerCase();
  if (bare === 'localhost' || bare === '::1') return true;
  return isIP(bare) === 4 && bare.startsWith('127.');
}

/** The same for a gRPC target: `host:port`, `dns:///host:port`, `ipv4:a:1,b:2`, `unix:path`. */
function isLoopbackTarget(target: string): boolean {
  if (/^unix(-abstract)?:/.test(target)) return true;
  const plain = target.replace(/^(dns|ipv4|ipv6):(\/\/[^/]*\/)?/, '');
  return plain.split(',').every((each) => isLoopback(each.replace(/:\d+$/, '')));
}

function watchToken(
  file: string,
  intervalMs: number | undefined,
  onRejected: (error: KindredError) => void,
): WatchedFiles<string> {
  return watchFiles({
    files: [file],
    intervalMs,
    onRejected,
    parse([content]) {
      const token = String(content).trim();
      if (/^[\x21-\x7e]+$/.test(token)) return token;
      throw new KindredError(
        'FAILED_PRECONDITION',
        `${file} holds no token; allowed: one line of visible ASCII characters`,
        {
          resource: { type: 'file', name: file },
        },
      );
    },
  });
}
