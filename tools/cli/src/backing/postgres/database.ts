import pg from 'pg';
import { type BackingService, given, withoutPassword } from '../backing-service.ts';
import { CliError, toMessage } from '../../terminal/cli-error.ts';
import { type DatabasePlace, startPrivatePostgres } from './private-postgres.ts';

/** DATABASE_URL is the login of an administrator: one that may make roles and databases. */
export async function checkGivenDatabase(url: string): Promise<void> {
  const refuse = (fault: string) =>
    new CliError(`DATABASE_URL cannot be used: ${fault}.`, {
      details: [`DATABASE_URL=${withoutPassword(url)}`],
      remedies: [
        'check the address, the user and the password, and that the server runs',
        'the form is postgresql://admin:password@host:5432/postgres, of a login with CREATEROLE and CREATEDB',
        'or unset DATABASE_URL, and a private PostgreSQL is started',
      ],
    });
  if (!URL.canParse(url)) throw refuse('it is not a URL');
  const { protocol } = new URL(url);
  if (!['postgres:', 'postgresql:'].includes(protocol)) {
    throw refuse(`it starts with ${protocol}//, not postgresql://`);
  }
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 4_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ able: boolean }>(
      'SELECT rolsuper OR (rolcreaterole AND rolcreatedb) AS able FROM pg_roles WHERE rolname = current_user',
    );
    if (!rows[0]?.able) throw new Error('its login may not make roles and databases');
  } catch (error) {
    throw refuse(toMessage(error));
  } finally {
    await client.end().catch(() => undefined);
  }
}

export async function provideDatabase(
  place: DatabasePlace,
  say: (text: string) => void,
): Promise<BackingService> {
  const url = place.throwaway ? undefined : process.env.DATABASE_URL;
  if (url) {
    await checkGivenDatabase(url);
    return given('the PostgreSQL of DATABASE_URL', url);
  }
  say('starting a private PostgreSQL');
  return startPrivatePostgres(place);
}
