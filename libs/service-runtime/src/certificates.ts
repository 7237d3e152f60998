// Certificates for both ends of a connection, read again when their files change; new connections get the new ones.
import { X509Certificate, createPrivateKey } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { ChannelCredentials, ServerCredentials, experimental, type experimental as Experimental } from '@grpc/grpc-js';
import { KindredError } from '@kindred/errors';
import { watchFiles, type WatchedFiles } from './watched-files.js';

/** PEM files of one end of a TLS connection. */
export interface TlsFiles {
  /** This end's certificate with its chain; null (clients only): it shows none. */
  readonly certFile: string | null;
  /** The certificate's private key; null when `certFile` is. */
  readonly keyFile: string | null;
  /**
   * Authorities that the other end's certificate must come from. Null: for a server, no certificate is asked for; for a
   * client, the authorities that Node trusts.
   */
  readonly caFile: string | null;
}

/** What the files hold, checked. */
export interface Certificates {
  readonly cert: Buffer | null;
  readonly key: Buffer | null;
  readonly ca: Buffer | null;
  /** SHA-256 of this end's certificate, for the log; null without one. */
  readonly fingerprint: string | null;
  /** End of this end's certificate's life; null without one. */
  readonly validTo: Date | null;
}

/** Who is told of changes, and how often the files are looked at. */
export interface CertificateWatch {
  /** @default 5000 */
  readonly intervalMs?: number;
  readonly onReplaced?: (certificates: Certificates) => void;
  /** The new content cannot be used; the certificates before it stay in use. */
  readonly onRejected?: (error: KindredError) => void;
}

/** Credentials that follow their files. */
export interface WatchedCredentials<C> {
  readonly credentials: C;
  readonly files: WatchedFiles<Certificates>;
}

/**
 * TLS for a server. With `caFile` each client must show a certificate from there (mTLS).
 * @throws KindredError FAILED_PRECONDITION when the files cannot be used.
 */
export function serverCertificates(
  files: TlsFiles,
  watch: CertificateWatch = {},
): WatchedCredentials<ServerCredentials> {
  const { watched, provider } = certificateProvider(files, watch);
  const credentials = experimental.createCertificateProviderServerCredentials(
    // Its declaration names the first two the other way round; its source takes the identity first.
    provider,
    files.caFile === null ? null : provider,
    files.caFile !== null,
  );
  return { credentials, files: watched };
}

/**
 * TLS for a client.
 * @throws KindredError FAILED_PRECONDITION when the files cannot be used.
 */
export function clientCertificates(
  files: TlsFiles,
  watch: CertificateWatch = {},
): WatchedCredentials<ChannelCredentials> {
  const { watched, provider } = certificateProvider(files, watch);
  if (files.caFile !== null) {
    const identity = files.certFile === null ? null : provider;
    return {
      credentials: experimental.createCertificateProviderChannelCredentials(provider, identity),
      files: watched,
    };
  }
  const { key, cert } = watched.current();
  return { credentials: ChannelCredentials.createSsl(null, key, cert), files: watched };
}

/** Connections without TLS. */
export function plaintextServer(): ServerCredentials {
  return ServerCredentials.createInsecure();
}

function certificateProvider(
  files: TlsFiles,
  watch: CertificateWatch,
): { readonly watched: WatchedFiles<Certificates>; readonly provider: Experimental.CertificateProvider } {
  const identity = new Set<Experimental.IdentityCertificateUpdateListener>();
  const authorities = new Set<Experimental.CaCertificateUpdateListener>();
  const identityOf = ({ cert, key }: Certificates): Experimental.IdentityCertificateUpdate | null =>
    cert === null || key === null ? null : { certificate: cert, privateKey: key };
  const caOf = ({ ca }: Certificates): Experimental.CaCertificateUpdate | null =>
    ca === null ? null : { caCertificate: ca };

  const paths = [files.certFile, files.keyFile, files.caFile];
  const watched = watchFiles<Certificates>({
    files: paths.filter((path) => path !== null),
    parse(contents) {
      const [cert = null, key = null, ca = null] = paths.map((path) =>
        path === null ? null : (contents[paths.filter((other) => other !== null).indexOf(path)] as Buffer),
      );
      return checked(files, cert, key, ca);
    },
    intervalMs: watch.intervalMs,
    onRejected: watch.onRejected,
    onReplaced(certificates) {
      for (const listener of identity) listener(identityOf(certificates));
      for (const listener of authorities) listener(caOf(certificates));
      watch.onReplaced?.(certificates);
    },
  });
  const provider: Experimental.CertificateProvider = {
    addIdentityCertificateListener(listener) {
      identity.add(listener);
      // Not at once: grpc-js registers its own watcher only after this call.
      process.nextTick(() => listener(identityOf(watched.current())));
    },
    removeIdentityCertificateListener: (listener) => void identity.delete(listener),
    addCaCertificateListener(listener) {
      authorities.add(listener);
      process.nextTick(() => listener(caOf(watched.current())));
    },
    removeCaCertificateListener: (listener) => void authorities.delete(listener),
  };
  return { watched, provider };
}

/** Whether TLS can be made of the files: a certificate, its own key, authorities. */
function checked(files: TlsFiles, cert: Buffer | null, key: Buffer | null, ca: Buffer | null): Certificates {
  const named = (file: string | null, problem: string, cause?: unknown): KindredError =>
    new KindredError('FAILED_PRECONDITION', `${file} cannot be used: ${problem}`, {
      resource: { type: 'file', name: file ?? '' },
      cause,
    });
  const attempt = <T>(file: string | null, what: string, make: () => T): T => {
    try {
      return make();
    } catch (thrown) {
      throw named(file, `it is no ${what} in PEM form`, thrown);
    }
  };
  const own = cert === null ? null : attempt(files.certFile, 'certificate', () => new X509Certificate(cert));
  const privateKey =
    key === null ? null : attempt(files.keyFile, 'private key without a passphrase', () => createPrivateKey(key));
  if (own !== null && privateKey !== null && !own.checkPrivateKey(privateKey))
    throw named(files.keyFile, `it is not the key of the certificate in ${files.certFile}`);
  if (ca !== null) attempt(files.caFile, 'certificate', () => new X509Certificate(ca));
  attempt(files.certFile ?? files.caFile, 'material for TLS', () =>
    createSecureContext({ cert: cert ?? undefined, key: key ?? undefined, ca: ca ?? undefined }),
  );
  return {
    cert,
    key,
    ca,
    fingerprint: own?.fingerprint256 ?? null,
    validTo: own === null ? null : new Date(own.validTo),
  };
}
