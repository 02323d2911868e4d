import { join } from 'node:path';
import { type Holder } from './authority.ts';
import { authorityFile, certificateFile, keyFile, readPair } from './certificate-files.ts';
import { UsageError } from '../../terminal/cli-error.ts';
import { type State } from '../../supervisor/state.ts';
import { listApps } from '../../workspace.ts';

/** The servers' certificates; the clients' are named after their logins. */
export const brokerServer = 'broker-server';
export const databaseServer = 'database-server';
/** The operator of a private broker and database. */
export const operator = 'jogakbo';

export function tlsIsWanted({ JOGAKBO_TLS: wanted = '' } = process.env): boolean {
  if (['1', 'true', '0', 'false', ''].includes(wanted)) return wanted === '1' || wanted === 'true';
  throw new UsageError(`JOGAKBO_TLS is "${wanted}": it is 1, or not set.`);
}

export const getTlsFolder = (state: State): string => join(state.folder, 'tls');

/** The folder of the store's certificates, all of them good for some time yet; undefined where no TLS is wanted. */
export async function openTls(state: State): Promise<string | undefined> {
  if (!tlsIsWanted()) return undefined;
  const holders: Holder[] = [
    { name: brokerServer, is: 'server' },
    { name: databaseServer, is: 'server' },
    ...[operator, ...listApps().map(({ name }) => name)].map((name) => ({ name, is: 'client' as const })),
  ];
  // Only now: what makes certificates takes longer to load than most commands take.
  const { keepCertificates } = await import('./authority.ts');
  await keepCertificates(getTlsFolder(state), state.id, holders);
  return getTlsFolder(state);
}

/**
 * The address of a broker or a database for the one who has the certificate of this name: in place of a password, in the
 * words of RabbitMQ's URI query parameters, or in libpq's.
 * @param folder of the certificates
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

/** When the first of the servers' certificates and the operator's ends; undefined where one is not whole. */
export function endOfTls(folder: string): Date | undefined {
  const ends = [brokerServer, databaseServer, operator].map(
    (name) => readPair(folder, name)?.certificate.validToDate.getTime() ?? NaN,
  );
  const first = Math.min(...ends);
  return Number.isNaN(first) ? undefined : new Date(first);
}

/** What JOGAKBO_TLS does not do, for servers that are somebody else's. */
export function tlsRemarks(env = process.env): string[] {
  if (!tlsIsWanted(env)) return [];
  const given = [
    ['RABBITMQ_URL', env.RABBITMQ_URL, 'amqps://user:password@host:5671'],
    ['DATABASE_URL', env.DATABASE_URL, 'postgresql://admin:password@host:5432/postgres?sslmode=verify-full'],
  ] as const;
  return given
    .filter(([, address]) => address)
    .map(
      ([name, , form]) =>
        `JOGAKBO_TLS makes certificates for private servers only: ${name} is used as it is. For TLS, let it say so:  ${form}`,
    );
}
