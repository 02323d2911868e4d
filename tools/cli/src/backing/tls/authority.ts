// Required by a dependency of @peculiar/x509, and must be imported before it.
import 'reflect-metadata';
import { KeyObject, webcrypto, type X509Certificate } from 'node:crypto';
import { chmodSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { authorityName, certificateFile, keyFile, readPair } from './certificate-files.ts';

/** A certificate holder: clients verify a server by its address, servers identify a client by its name. */
export interface Holder {
  name: string;
  is: 'server' | 'client';
}

const day = 86_400_000;
export const leafDays = 90;
/** A start renews certificates that expire within this time. */
export const renewalDays = 30;
const authorityDays = 3_650;
/** An authority outlives all certificates that it signed. */
const authorityRenewalDays = leafDays + renewalDays;

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

const isValidFor = ({ validFromDate, validToDate }: X509Certificate, days: number, now: Date): boolean =>
  validFromDate <= now && validToDate.getTime() - now.getTime() >= days * day;

interface Issuer {
  name: string;
  key: webcrypto.CryptoKey;
}

/** @param by the issuer; undefined for a self-signed certificate */
async function issue(
  folder: string,
  name: string,
  subject: string,
  days: number,
  extensions: Extension[],
  now: Date,
  by?: Issuer,
): Promise<void> {
  const { publicKey, privateKey } = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.create({
    subject,
    issuer: by?.name ?? subject,
    publicKey,
    signingKey: by?.key ?? privateKey,
    signingAlgorithm: algorithm,
    // Tolerates a clock that is set back by up to an hour.
    notBefore: new Date(now.getTime() - 3_600_000),
    notAfter: new Date(now.getTime() + days * day),
    extensions,
  });
  // The key first: the next start reissues a certificate that does not match its key.
  write(
    keyFile(folder, name),
    KeyObject.from(privateKey).export({ type: 'pkcs8', format: 'pem' }).toString(),
  );
  write(certificateFile(folder, name), `${certificate.toString('pem')}\n`);
}

function write(path: string, text: string): void {
  const draft = `${path}.${process.pid}.tmp`;
  writeFileSync(draft, text, { mode: 0o600 });
  renameSync(draft, path);
}

/** The names and addresses of servers on this machine. */
const localAddresses = new SubjectAlternativeNameExtension([
  { type: 'dns', value: 'localhost' },
  { type: 'ip', value: '127.0.0.1' },
  { type: 'ip', value: '::1' },
]);

async function openAuthority(folder: string, id: string, now: Date): Promise<X509Certificate> {
  const kept = readPair(folder, authorityName);
  if (kept && isValidFor(kept.certificate, authorityRenewalDays, now)) return kept.certificate;
  // A unique name: with two authorities of the same name, clients could choose the wrong issuer.
  const subject = `CN=Jogakbo ${id} ${now.toISOString()}`;
  const extensions = [
    new BasicConstraintsExtension(true, 0, true),
    new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
  ];
  await issue(folder, authorityName, subject, authorityDays, extensions, now);
  return readPair(folder, authorityName)!.certificate;
}

/**
 * Creates the certificate authority of a store and a certificate for each holder. Keeps certificates that are valid,
 * signed by this authority and not due for renewal.
 * @param folder gets mode 0700, its files 0600
 * @param id of the store, part of the authority's name
 * @returns the names of the new certificates
 */
export async function ensureCertificates(
  folder: string,
  id: string,
  holders: readonly Holder[],
  now = new Date(),
): Promise<string[]> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  chmodSync(folder, 0o700);
  const authority = await openAuthority(folder, id, now);
  const by = {
    name: authority.subject.replaceAll('\n', ', '),
    key: readPair(folder, authorityName)!.key.toCryptoKey(algorithm, false, ['sign']),
  };
  const made: string[] = [];
  for (const { name, is } of holders) {
    const kept = readPair(folder, name)?.certificate;
    if (kept?.verify(authority.publicKey) && isValidFor(kept, renewalDays, now)) continue;
    const extensions = [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      // Limits the certificate of a service to client authentication, so that it cannot impersonate a server.
      new ExtendedKeyUsageExtension([
        is === 'server' ? ExtendedKeyUsage.serverAuth : ExtendedKeyUsage.clientAuth,
      ]),
      ...(is === 'server' ? [localAddresses] : []),
    ];
    await issue(folder, name, `CN=${name}`, leafDays, extensions, now, by);
    made.push(name);
  }
  return made;
}
