// What the library is built with asks for it, before the library.
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

/** Somebody who has a certificate: a server, which others check by its address, or a client, which servers know by its name. */
export interface Holder {
  name: string;
  is: 'server' | 'client';
}

const day = 86_400_000;
export const leafDays = 90;
/** With fewer than these left, the next start makes a new one. */
export const renewalDays = 30;
const authorityDays = 3_650;
/** Nothing that it signed outlives an authority. */
const authorityRenewalDays = leafDays + renewalDays;

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

const holds = ({ validFromDate, validToDate }: X509Certificate, days: number, now: Date): boolean =>
  validFromDate <= now && validToDate.getTime() - now.getTime() >= days * day;

interface Issuer {
  name: string;
  key: webcrypto.CryptoKey;
}

/** @param by undefined for one that signs itself */
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
    // A clock that is set back a little must not make it a certificate of the future.
    notBefore: new Date(now.getTime() - 3_600_000),
    notAfter: new Date(now.getTime() + days * day),
    extensions,
  });
  // The key first: a certificate without its own key is made anew at the next start.
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

/** Which addresses a server of this machine is reached by. */
const here = new SubjectAlternativeNameExtension([
  { type: 'dns', value: 'localhost' },
  { type: 'ip', value: '127.0.0.1' },
  { type: 'ip', value: '::1' },
]);

async function openAuthority(folder: string, id: string, now: Date): Promise<X509Certificate> {
  const kept = readPair(folder, authorityName);
  if (kept && holds(kept.certificate, authorityRenewalDays, now)) return kept.certificate;
  // Another name each time: of two authorities of one name, clients would take the wrong one for the issuer.
  const subject = `CN=Jogakbo ${id} ${now.toISOString()}`;
  const extensions = [
    new BasicConstraintsExtension(true, 0, true),
    new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
  ];
  await issue(folder, authorityName, subject, authorityDays, extensions, now);
  return readPair(folder, authorityName)!.certificate;
}

/**
 * Makes the certificate authority of a store and a certificate for each holder, and keeps them: what is whole, signed by
 * this authority and good for some time yet stays as it is.
 * @param folder closed to all others, as is every file in it
 * @param id of the store, for the authority's name
 * @returns whose certificates were made now
 */
export async function keepCertificates(
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
    if (kept?.verify(authority.publicKey) && holds(kept, renewalDays, now)) continue;
    const extensions = [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      // The certificate of a service is for clients only: it cannot be used to pose as a server.
      new ExtendedKeyUsageExtension([
        is === 'server' ? ExtendedKeyUsage.serverAuth : ExtendedKeyUsage.clientAuth,
      ]),
      ...(is === 'server' ? [here] : []),
    ];
    await issue(folder, name, `CN=${name}`, leafDays, extensions, now, by);
    made.push(name);
  }
  return made;
}
