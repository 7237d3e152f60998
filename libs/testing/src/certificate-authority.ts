// An authority for tests: certificates for servers and clients on this machine, as PEM files.
// @peculiar/x509 resolves its parts through this.
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';

/** PEM files of one certificate. */
export interface IssuedCertificate {
  readonly certFile: string;
  readonly keyFile: string;
}

/** An authority whose word counts for those who are given `caFile`. */
export interface CertificateAuthority {
  /** PEM file of the authority's own certificate. */
  readonly caFile: string;
  /**
   * Issues a certificate for `localhost` and 127.0.0.1, or for other `names`, valid until tomorrow or `notAfter`; issued
   * again under one name, it replaces the files.
   */
  issue(name: string, names?: readonly string[], notAfter?: Date): Promise<IssuedCertificate>;
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const day = 86_400_000;

/** Makes an authority with its files in `folder`. */
export async function createCertificateAuthority(folder: string): Promise<CertificateAuthority> {
  mkdirSync(folder, { recursive: true });
  const keys = await newKeys();
  const lifetime = { notBefore: new Date(Date.now() - day), notAfter: new Date(Date.now() + day) };
  const own = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=Kindred test authority',
    serialNumber: serial(),
    keys,
    signingAlgorithm: algorithm,
    ...lifetime,
    extensions: [new x509.BasicConstraintsExtension(true, 1, true)],
  });
  const caFile = join(folder, 'ca.pem');
  writeFileSync(caFile, own.toString('pem'));
  return {
    caFile,
    async issue(name, names = ['localhost', '127.0.0.1'], notAfter = lifetime.notAfter) {
      const leaf = await newKeys();
      const certificate = await x509.X509CertificateGenerator.create({
        subject: `CN=${name}`,
        issuer: own.subject,
        serialNumber: serial(),
        publicKey: leaf.publicKey,
        signingKey: keys.privateKey,
        signingAlgorithm: algorithm,
        notBefore: new Date(Math.min(Number(lifetime.notBefore), Number(notAfter) - day)),
        notAfter,
        extensions: [
          new x509.SubjectAlternativeNameExtension(
            names.map((value) => ({ type: /^[\d.]+$/.test(value) ? ('ip' as const) : ('dns' as const), value })),
          ),
        ],
      });
      const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', leaf.privateKey)).toString('base64');
      const issued = { certFile: join(folder, `${name}.pem`), keyFile: join(folder, `${name}.key`) };
      const lines = pkcs8.match(/.{1,64}/g) ?? [];
      writeFileSync(issued.keyFile, `-----BEGIN PRIVATE KEY-----\n${lines.join('\n')}\n-----END PRIVATE KEY-----\n`);
      writeFileSync(issued.certFile, certificate.toString('pem'));
      return issued;
    },
  };
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
}

function serial(): string {
  return Buffer.from(webcrypto.getRandomValues(new Uint8Array(8)))
    .toString('hex')
    .replace(/^./, '1');
}
