import { createHash } from 'node:crypto';
import pg from 'pg';
import { type BackingService } from '../backing-service.ts';
import { CliError } from '../../terminal/cli-error.ts';
import { withCertificate } from '../tls/store-tls.ts';
import { type App } from '../../workspace.ts';

export interface ServiceDatabase {
  url: string;
  /** Changes when the database is dropped and recreated. */
  identity: string;
}

/** The database URL of a service, with its certificate if the server requires one, else with its password. */
export function buildUrl(
  server: { kind: string; url: string; tls?: string },
  service: string,
  password: string,
): string {
  const name = getDatabaseName(service, server.kind);
  const url = new URL(server.url);
  url.username = encodeURIComponent(name);
  url.password = encodeURIComponent(password);
  url.pathname = `/${encodeURIComponent(name)}`;
  return server.tls ? withCertificate(url.href, server.tls, service) : url.href;
}

/** The name of a service's database and role. It has a prefix on external servers. */
export const getDatabaseName = (service: string, kind: string): string =>
  `${kind === 'external' ? 'jogakbo_' : ''}${service.replaceAll('-', '_')}`;

async function canConnect(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 4_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Maximum connections per service: six instances with the default pool. The server allows 150 in total. */
export const connectionLimit = 40;

async function createRoleAndDatabase(admin: pg.Client, name: string, password: string): Promise<void> {
  const role = admin.escapeIdentifier(name);
  const secret = admin.escapeLiteral(password);
  const { rowCount: roles } = await admin.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [name]);
  await admin.query(
    `${roles ? 'ALTER' : 'CREATE'} ROLE ${role} LOGIN CONNECTION LIMIT ${connectionLimit} PASSWORD ${secret}`,
  );
  const { rowCount: databases } = await admin.query('SELECT 1 FROM pg_database WHERE datname = $1', [name]);
  if (!databases) {
    const { rows } = await admin.query<{ rolsuper: boolean }>(
      'SELECT rolsuper FROM pg_roles WHERE rolname = current_user',
    );
    // Without administratorLogin, an administrator can create a database only for a role that it is a member of.
    if (!rows[0]?.rolsuper) await admin.query(`GRANT ${role} TO CURRENT_USER`);
    await admin.query(`CREATE DATABASE ${role} OWNER ${role}`);
  }
  await admin.query(`REVOKE CONNECT, TEMPORARY ON DATABASE ${role} FROM PUBLIC`);
}

/**
 * Creates a role and a database for each service. No role can connect to a database of another service.
 * @param owner of the roles of an external server; their comment names it
 * @throws CliError if the roles belong to another store; then nothing is changed
 */
export async function ensureServiceDatabases(
  server: Pick<BackingService, 'kind' | 'url' | 'tls'>,
  apps: readonly App[],
  passwords: Record<string, string>,
  owner: string,
): Promise<Record<string, ServiceDatabase>> {
  const wanted = apps
    .filter((app) => app.hasDatabase)
    .map((app) => {
      const name = getDatabaseName(app.name, server.kind);
      return { app: app.name, name, url: buildUrl(server, app.name, passwords[app.name]!) };
    });
  const admin = new pg.Client({ connectionString: server.url, connectionTimeoutMillis: 5_000 });
  admin.on('error', () => undefined);
  await admin.connect();
  try {
    if (server.kind === 'process')
      await admin.query('REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC');
    else
      await assertRolesAreOwn(
        admin,
        wanted.map(({ name }) => name),
        `jogakbo-${owner}`,
      );
    const works = await Promise.all(wanted.map(({ url }) => canConnect(url)));
    for (const [index, { app, name }] of wanted.entries()) {
      if (!works[index]) await createRoleAndDatabase(admin, name, passwords[app]!);
      else if (server.kind === 'process')
        await admin.query(`ALTER ROLE ${admin.escapeIdentifier(name)} CONNECTION LIMIT ${connectionLimit}`);
      if (server.kind === 'external')
        await admin.query(`COMMENT ON ROLE ${admin.escapeIdentifier(name)} IS 'jogakbo-${owner}'`);
    }
    const { rows } = await admin.query<{ datname: string; oid: string }>(
      'SELECT datname, oid::text FROM pg_database',
    );
    const oids = new Map(rows.map(({ datname, oid }) => [datname, oid]));
    const where =
      server.kind === 'process' ? `private ${await readSystemId(admin)}` : new URL(server.url).host;
    return Object.fromEntries(
      wanted.map(({ app, name, url }) => [app, { url, identity: `${where} ${name} ${oids.get(name)}` }]),
    );
  } finally {
    await admin.end().catch(() => undefined);
  }
}

/**
 * Deletes the database and the role of a service, if they exist. Ends the connections to the database.
 * @param server with the login of an administrator
 * @param owner as in `ensureServiceDatabases`
 * @returns what was deleted, in words @throws CliError if the role belongs to another store; then nothing is changed
 */
export async function deleteServiceDatabase(
  server: { kind: string; url: string },
  service: string,
  owner: string,
): Promise<string> {
  const name = getDatabaseName(service, server.kind);
  const admin = new pg.Client({ connectionString: server.url, connectionTimeoutMillis: 5_000 });
  admin.on('error', () => undefined);
  await admin.connect();
  try {
    if (server.kind !== 'process') await assertRolesAreOwn(admin, [name], `jogakbo-${owner}`);
    const escaped = admin.escapeIdentifier(name);
    const { rowCount } = await admin.query('SELECT 1 FROM pg_database WHERE datname = $1', [name]);
    await admin.query(`DROP DATABASE IF EXISTS ${escaped} WITH (FORCE)`);
    await admin.query(`DROP ROLE IF EXISTS ${escaped}`);
    return rowCount ? `deleted the database ${name}` : `there was no database ${name}`;
  } finally {
    await admin.end().catch(() => undefined);
  }
}

/** @throws CliError if the comment of a role names another store. Roles of earlier versions have no comment. */
async function assertRolesAreOwn(admin: pg.Client, names: string[], tag: string): Promise<void> {
  const { rows } = await admin.query<{ name: string }>(
    `SELECT rolname AS name FROM pg_roles
     WHERE rolname = ANY($1) AND shobj_description(oid, 'pg_authid') LIKE 'jogakbo-%'
       AND shobj_description(oid, 'pg_authid') <> $2 ORDER BY rolname`,
    [names, tag],
  );
  if (rows.length === 0) return;
  throw new CliError('The PostgreSQL of DATABASE_URL has the databases of another store.', {
    details: rows.map(({ name }) => `the role ${name} belongs to another state folder`),
    remedies: [
      'use another PostgreSQL server for this store',
      ...rows.map(
        ({ name }) => `or, if that store is gone:  psql "$DATABASE_URL" -c 'COMMENT ON ROLE ${name} IS NULL'`,
      ),
    ],
  });
}

async function readSystemId(admin: pg.Client): Promise<string> {
  const { rows } = await admin.query<{ id: string }>(
    'SELECT system_identifier::text AS id FROM pg_control_system()',
  );
  return rows[0]!.id;
}

/** A hash of all database identities of a store. Cached facts about the databases are valid while it is unchanged. */
export function computeIdentity(databases: Record<string, ServiceDatabase>): string {
  const all = Object.values(databases)
    .map(({ identity }) => identity)
    .sort()
    .join('\n');
  return createHash('sha256').update(all).digest('hex').slice(0, 16);
}
