import pg from 'pg';
import { type BackingService, createExternalService, maskPassword } from '../backing-service.ts';
import { CliError, toMessage } from '../../terminal/cli-error.ts';
import { type DatabaseConfiguration, startPrivatePostgres } from './private-postgres.ts';

/** DATABASE_URL must be an administrator login that can create roles and databases. */
export async function assertExternalDatabase(url: string): Promise<void> {
  const createError = (reason: string) =>
    new CliError(`DATABASE_URL cannot be used: ${reason}.`, {
      details: [`DATABASE_URL=${maskPassword(url)}`],
      remedies: [
        'check the address, the user and the password, and that the server runs',
        'use postgresql://admin:password@host:5432/postgres, with a login that has CREATEROLE and CREATEDB',
        'or unset DATABASE_URL to start a private PostgreSQL',
      ],
    });
  if (!URL.canParse(url)) throw createError('it is not a URL');
  const { protocol } = new URL(url);
  if (!['postgres:', 'postgresql:'].includes(protocol)) {
    throw createError(`it starts with ${protocol}//, not postgresql://`);
  }
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 4_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ able: boolean }>(
      'SELECT rolsuper OR (rolcreaterole AND rolcreatedb) AS able FROM pg_roles WHERE rolname = current_user',
    );
    if (!rows[0]?.able) throw new Error('its login cannot create roles and databases');
  } catch (error) {
    throw createError(toMessage(error));
  } finally {
    await client.end().catch(() => undefined);
  }
}

export async function provideDatabase(
  place: DatabaseConfiguration,
  report: (text: string) => void,
): Promise<BackingService> {
  const url = place.throwaway ? undefined : process.env.DATABASE_URL;
  if (url) {
    await assertExternalDatabase(url);
    return createExternalService('the PostgreSQL of DATABASE_URL', url);
  }
  report('starting a private PostgreSQL');
  return startPrivatePostgres(place);
}
