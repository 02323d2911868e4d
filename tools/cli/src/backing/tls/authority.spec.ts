import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Holder, ensureCertificates } from './authority.ts';
import { authorityFile, certificateFile, keyFile } from './certificate-files.ts';

const day = 86_400_000;
const holders: Holder[] = [
  { name: 'broker', is: 'server' },
  { name: 'loans', is: 'client' },
];
const folder = mkdtempSync(join(tmpdir(), 'jogakbo-authority-'));
const tls = join(folder, 'tls');
const now = new Date();
const later = (days: number) => new Date(now.getTime() + days * day);
const keep = (at = now, of = holders) => ensureCertificates(tls, 'test', of, at);
const getCertificate = (name: string) => new X509Certificate(readFileSync(certificateFile(tls, name)));
const authority = () => new X509Certificate(readFileSync(authorityFile(tls)));

/** The result of a TLS handshake for `host` with the server certificate of `name`, and the client's certificate. */
async function greet(name: string, host: string, client?: string): Promise<string> {
  const getPair = (who: string, at = tls) => ({
    ...{ key: readFileSync(keyFile(at, who)), cert: readFileSync(certificateFile(at, who)) },
  });
  const ca = readFileSync(authorityFile(tls));
  const server = createServer(
    { ...getPair(name), ca, requestCert: true, rejectUnauthorized: client !== undefined },
    (socket) => socket.end('welcome'),
  ).on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  try {
    return await new Promise((resolve) => {
      const socket: TLSSocket = connect({
        ...{ port, host: '127.0.0.1', ...(host && { servername: host }), ca },
        ...(client ? getPair(client, client === 'unknown' ? join(folder, 'other') : tls) : {}),
      });
      socket.on('data', (data) => resolve(data.toString()));
      socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
      socket.on('close', () => resolve('nothing'));
    });
  } finally {
    server.close();
  }
}

beforeAll(() => keep());
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the certificate authority of a store', () => {
  it('issues a certificate with the name and key usage of each holder', () => {
    expect(getCertificate('loans').subject).toBe('CN=loans');
    expect(getCertificate('loans').keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']);
    expect(getCertificate('broker').keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
    expect(getCertificate('broker').subjectAltName).toBe(
      'DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1',
    );
    expect(getCertificate('loans').checkIssued(authority())).toBe(true);
    expect([authority().ca, getCertificate('loans').ca]).toEqual([true, false]);
  });

  it('creates the folder with mode 0700 and every file with mode 0600', () => {
    expect(statSync(tls).mode & 0o777).toBe(0o700);
    const modes = readdirSync(tls).map((name) => [name, statSync(join(tls, name)).mode & 0o777]);
    expect(modes).toHaveLength(6);
    expect(modes.filter(([, mode]) => mode !== 0o600)).toEqual([]);
  });

  it('issues server certificates for this machine only', async () => {
    expect(await greet('broker', 'localhost', 'loans')).toBe('welcome');
    expect(await greet('broker', '', 'loans')).toBe('welcome');
    expect(await greet('broker', 'broker.example', 'loans')).toBe('ERR_TLS_CERT_ALTNAME_INVALID');
  });

  it('rejects clients as servers, servers as clients, and certificates of other authorities', async () => {
    expect(await greet('loans', 'localhost')).not.toBe('welcome');
    expect(await greet('broker', 'localhost', 'broker')).not.toBe('welcome');
    await ensureCertificates(join(folder, 'other'), 'other', [{ name: 'unknown', is: 'client' }]);
    expect(await greet('broker', 'localhost', 'unknown')).not.toBe('welcome');
  });

  it('keeps valid certificates and renews those that expire soon, are invalid or are missing', async () => {
    expect(await keep()).toEqual([]);
    expect(await keep(later(59))).toEqual([]);
    const { serialNumber } = getCertificate('loans');
    expect(await keep(later(61))).toEqual(['broker', 'loans']);
    expect(getCertificate('loans').serialNumber).not.toBe(serialNumber);
    expect(getCertificate('loans').validToDate.getTime()).toBeCloseTo(later(61 + 90).getTime(), -4);
    // The current certificates are not valid yet at this time.
    expect(await keep(now)).toEqual(['broker', 'loans']);
    writeFileSync(certificateFile(tls, 'loans'), 'nonsense');
    expect(await keep()).toEqual(['loans']);
    writeFileSync(keyFile(tls, 'loans'), readFileSync(keyFile(tls, 'broker')));
    expect(await keep()).toEqual(['loans']);
    rmSync(keyFile(tls, 'broker'));
    expect(await keep()).toEqual(['broker']);
    expect(await keep(now, [...holders, { name: 'new', is: 'client' }])).toEqual(['new']);
  });

  it('outlives its certificates; a new authority reissues all of them', async () => {
    const first = authority().fingerprint256;
    await keep(later(3_000));
    expect(authority().fingerprint256).toBe(first);
    expect(await keep(later(3_600))).toEqual(['broker', 'loans']);
    expect(authority().fingerprint256).not.toBe(first);
    expect(getCertificate('loans').verify(authority().publicKey)).toBe(true);
  });
});
