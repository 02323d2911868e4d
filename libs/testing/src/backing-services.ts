import { randomBytes } from 'node:crypto';
import type { Permissions } from '@jogakbo/messaging/permissions';
import pg from 'pg';
import { eventually } from './eventually.ts';

/** Something that a suite made for itself and takes away again. */
export interface Private {
  url: string;
  drop(): Promise<void>;
}

function environment(name: string): string {
  const value = process.env[name];
  if (value) return value;
  throw new Error(
    `${name} is not set: run this suite with "npx nx integration <project>", which starts what it needs`,
  );
}

const uniqueName = () => `test_${process.pid}_${randomBytes(4).toString('hex')}`;

/** A virtual host, and the faults that its owner may cause in it. */
export interface PrivateBroker extends Private {
  /** Cuts every connection to it, as a failing network would. Gives how many there were. */
  cutConnections(): Promise<number>;
  /** Makes a login that may do everything in it, and nothing elsewhere. Gives its address. */
  login(name: string): Promise<string>;
  /** Limits what a login may do in it, on channels that are opened from now on. */
  restrict(login: string, permissions: Permissions): Promise<void>;
}

/** A RabbitMQ virtual host of its own: nothing in it is seen by any other suite. About 20 ms. */
export async function privateBroker(): Promise<PrivateBroker> {
  const management = new URL(environment('TEST_RABBITMQ_MANAGEMENT_URL'));
  const { username, password } = management;
  const authorization = `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')}`;
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
  const vhost = uniqueName();
  await call('PUT', `/api/vhosts/${vhost}`, {});
  await call('PUT', `/api/permissions/${vhost}/${username}`, { configure: '.*', write: '.*', read: '.*' });
  const url = new URL(environment('TEST_RABBITMQ_URL'));
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
      // The broker's list of connections lags some seconds behind.
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

/** A PostgreSQL database of its own. About 30 ms. */
export async function privateDatabase(): Promise<Private> {
  const admin = environment('TEST_DATABASE_URL');
  const name = uniqueName();
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
