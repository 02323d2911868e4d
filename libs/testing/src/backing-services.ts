import { randomBytes } from 'node:crypto';
import type { Permissions } from '@jogakbo/messaging/permissions';
import { writeBasicCredentials } from '@jogakbo/service/basic-credentials';
import pg from 'pg';
import { eventually } from './eventually.ts';

/** A resource that a suite creates for itself and removes again. */
export interface Private {
  url: string;
  drop(): Promise<void>;
}

function getVariable(name: string): string {
  const value = process.env[name];
  if (value) return value;
  throw new Error(
    `${name} is not set: run this suite with "npx nx integration <project>", which starts the backing services`,
  );
}

const createName = () => `test_${process.pid}_${randomBytes(4).toString('hex')}`;

/** A virtual host with fault injection. */
export interface PrivateBroker extends Private {
  /** Closes all connections to it. Returns their number. */
  cutConnections(): Promise<number>;
  /** Creates a login with all permissions in this virtual host only. Returns its URL. */
  login(name: string): Promise<string>;
  /** Sets the permissions of a login, for channels that are opened from now on. */
  restrict(login: string, permissions: Permissions): Promise<void>;
}

/** Creates a RabbitMQ virtual host that no other suite uses. About 20 ms. */
export async function createPrivateBroker(): Promise<PrivateBroker> {
  const management = new URL(getVariable('TEST_RABBITMQ_MANAGEMENT_URL'));
  const { username, password } = management;
  const authorization = writeBasicCredentials(decodeURIComponent(username), decodeURIComponent(password));
  const call = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const response = await fetch(new URL(path, management.origin), {
      method,
      headers: { authorization, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return (text ? JSON.parse(text) : undefined) as unknown;
  };
  const vhost = createName();
  await call('PUT', `/api/vhosts/${vhost}`, {});
  await call('PUT', `/api/permissions/${vhost}/${username}`, { configure: '.*', write: '.*', read: '.*' });
  const url = new URL(getVariable('TEST_RABBITMQ_URL'));
  url.pathname = `/${vhost}`;
  const logins: string[] = [];
  return {
    url: url.href,
    drop: async () => {
      await call('DELETE', `/api/vhosts/${vhost}`);
      await Promise.all(logins.map((login) => call('DELETE', `/api/users/${login}`)));
    },
    login: async (name) => {
      const password = randomBytes(12).toString('hex');
      await call('PUT', `/api/users/${name}`, { password, tags: '' });
      logins.push(name);
      await call('PUT', `/api/permissions/${vhost}/${name}`, { configure: '.*', write: '.*', read: '.*' });
      return Object.assign(new URL(url), { username: name, password }).href;
    },
    restrict: async (login, { topics, ...permissions }) => {
      await call('PUT', `/api/permissions/${vhost}/${login}`, permissions);
      for (const topic of topics) await call('PUT', `/api/topic-permissions/${vhost}/${login}`, topic);
    },
    cutConnections: async () => {
      // The broker's list of connections is some seconds late.
      const open = await eventually(async () => {
        const listed = (await call('GET', `/api/vhosts/${vhost}/connections`)) as { name: string }[];
        return listed.length > 0 ? listed : undefined;
      });
      await Promise.all(
        open.map(({ name }) => call('DELETE', `/api/connections/${encodeURIComponent(name)}`)),
      );
      return open.length;
    },
  };
}

/** Creates a PostgreSQL database that no other suite uses. About 30 ms. */
export async function createPrivateDatabase(): Promise<Private> {
  const admin = getVariable('TEST_DATABASE_URL');
  const name = createName();
  const run = async (sql: string) => {
    const client = new pg.Client({ connectionString: admin });
    await client.connect();
    try {
      await client.query(sql);
    } finally {
      await client.end();
    }
  };
  await run(`CREATE DATABASE ${name} STRATEGY file_copy`);
  const url = new URL(admin);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => run(`DROP DATABASE ${name} WITH (FORCE)`) };
}
