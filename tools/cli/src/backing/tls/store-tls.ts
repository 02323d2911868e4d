import { join } from 'node:path';
import { administratorLogin } from '../backing-service.ts';
import { type Holder } from './authority.ts';
import { authorityFile, certificateFile, keyFile, readPair } from './certificate-files.ts';
import { UsageError } from '../../terminal/cli-error.ts';
import { type StateFolder } from '../../supervisor/state.ts';
import { listApps } from '../../workspace.ts';

/** Names of the server certificates. Client certificates are named after their logins. */
export const brokerServer = 'broker-server';
export const databaseServer = 'database-server';

export function isTlsRequested({ JOGAKBO_TLS: wanted = '' } = process.env): boolean {
  if (['1', 'true', '0', 'false', ''].includes(wanted)) return wanted === '1' || wanted === 'true';
  throw new UsageError(`JOGAKBO_TLS is "${wanted}": set it to 1 or unset it.`);
}

export const getTlsFolder = (state: StateFolder): string => join(state.folder, 'tls');

/** Creates or renews the store's certificates. @returns their folder; undefined without TLS */
export async function openTls(state: StateFolder): Promise<string | undefined> {
  if (!isTlsRequested()) return undefined;
  const holders: Holder[] = [
    { name: brokerServer, is: 'server' },
    { name: databaseServer, is: 'server' },
    ...[administratorLogin, ...listApps().map(({ name }) => name)].map((name) => ({
      name,
      is: 'client' as const,
    })),
  ];
  // Imported on demand: loading this module takes longer than most commands.
  const { ensureCertificates } = await import('./authority.ts');
  await ensureCertificates(getTlsFolder(state), state.id, holders);
  return getTlsFolder(state);
}

/**
 * Adds a client certificate to the URL of a broker or database, in place of the password: as RabbitMQ URI query
 * parameters or libpq parameters.
 * @param folder of the certificates
 * @param name of the certificate
 */
export function withCertificate(address: string, folder: string, name: string): string {
  const url = new URL(address);
  const authority = authorityFile(folder);
  const [certificate, key] = [certificateFile(folder, name), keyFile(folder, name)];
  const isBroker = url.protocol.startsWith('amqp');
  if (isBroker) url.username = name;
  url.password = '';
  url.search = new URLSearchParams(
    isBroker
      ? { auth_mechanism: 'external', cacertfile: authority, certfile: certificate, keyfile: key }
      : { sslmode: 'verify-full', sslrootcert: authority, sslcert: certificate, sslkey: key },
  ).toString();
  return url.href;
}

/** The earliest expiry of the server and administrator certificates; undefined if one is missing or invalid. */
export function findTlsExpiry(folder: string): Date | undefined {
  const ends = [brokerServer, databaseServer, administratorLogin].map(
    (name) => readPair(folder, name)?.certificate.validToDate.getTime() ?? NaN,
  );
  const first = Math.min(...ends);
  return Number.isNaN(first) ? undefined : new Date(first);
}

/** Explains that JOGAKBO_TLS does not apply to external servers. */
export function getTlsRemarks(env = process.env): string[] {
  if (!isTlsRequested(env)) return [];
  const given = [
    ['RABBITMQ_URL', env.RABBITMQ_URL, 'amqps://user:password@host:5671'],
    ['DATABASE_URL', env.DATABASE_URL, 'postgresql://admin:password@host:5432/postgres?sslmode=verify-full'],
  ] as const;
  return given
    .filter(([, address]) => address)
    .map(
      ([name, , form]) =>
        `JOGAKBO_TLS creates certificates for private servers only; ${name} is used as it is. To use TLS there, set it to:  ${form}`,
    );
}
