import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';

type Mount = string | { source: string; target: string };
interface Container {
  image?: string;
  environment?: Record<string, string>;
  command?: string[];
  secrets?: Mount[];
}
interface Compose {
  services: Record<string, Container>;
  secrets: Record<string, { environment: string }>;
}

const root = join(import.meta.dirname, '..', '..', '..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const text = read('docker-compose.yml');
const { services, secrets } = parse(text, { merge: true }) as Compose;
const apps = readdirSync(join(root, 'apps')).filter((app) => existsSync(join(root, 'apps', app, 'src')));
const getSource = (mount: Mount) => (typeof mount === 'string' ? mount : mount.source);
const getPath = (mount: Mount) => {
  const target = typeof mount === 'string' ? mount : mount.target;
  return target.startsWith('/') ? target : `/run/secrets/${target}`;
};

/** Names of the settings that the services declare as secrets. */
const secretSettings = ['libs/service', ...apps.map((app) => `apps/${app}`)]
  .map((project) => join(project, 'src/settings.ts'))
  .filter((path) => existsSync(join(root, path)))
  .flatMap((path) => [...read(path).matchAll(/^ +(\w+): (?:environmentOnly\(\s*)?secret\(/gm)])
  .map(([, field]) => field!.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase());

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'jogakbo-compose-'));
  for (const app of apps)
    cpSync(join(root, 'apps', app, 'package.json'), join(folder, 'apps', app, 'package.json'));
  cpSync(join(root, 'jogakbo.config.ts'), join(folder, 'jogakbo.config.ts'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function makeSecrets(): Map<string, string> {
  const { status, stderr } = spawnSync(process.execPath, [join(root, 'deploy/compose-secrets.mjs')], {
    cwd: folder,
    encoding: 'utf8',
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const lines = readFileSync(join(folder, '.env'), 'utf8').trimEnd().split('\n');
  return new Map(lines.map((line) => [line.split('=')[0]!, line.slice(line.indexOf('=') + 1)]));
}

describe('docker-compose.yml', () => {
  /** The forms of interpolation that the file uses. */
  const interpolate = (value: string, made: Map<string, string>) =>
    value.replace(/\$\{(\w+)(?:(:[-+])([^}]*))?\}/g, (_, name: string, how?: string, word = '') => {
      const set = made.get(name) ?? '';
      if (how === ':+') return set && word;
      return set || word;
    });

  it('shows no secret in `docker inspect` and `docker compose config`', () => {
    const made = makeSecrets();
    const all = [...made.values()].filter((value) => value.length > 12);
    // The login at the broker, the password of the config server and the key of each service, and the derived values.
    expect(all.length).toBeGreaterThan(6 * apps.length);
    // Secrets that only people can set.
    const chosen = [...made].flatMap(([name, value]) =>
      value ? [] : [[name, `chosen-for-${name}`] as const],
    );
    const shown = interpolate(JSON.stringify(services), new Map([...made, ...chosen]));
    for (const secret of [...all, ...chosen.map(([, value]) => value)]) expect(shown).not.toContain(secret);
    // The file itself contains no password either.
    expect(shown).not.toMatch(/:\/\/[^/\s"]*:[^/\s"]*@/);
  });

  it('passes every secret setting as a file', () => {
    expect(secretSettings).toEqual(expect.arrayContaining(['RABBITMQ_URL', 'CONFIG_KEY', 'STAFF']));
    const names = Object.values(services).flatMap(({ environment = {} }) => Object.keys(environment));
    for (const name of secretSettings) expect(names).not.toContain(name);
    expect(names.filter((name) => /PASS|KEY|TOKEN|SECRET/.test(name) && !name.endsWith('_FILE'))).toEqual([
      ...['TOKEN_ISSUER', 'TOKEN_ISSUER'],
    ]);
  });

  it.each(Object.entries(services))('mounts all files for %s that its settings name', (_, one) => {
    const mounts = one.secrets ?? [];
    const named = Object.entries(one.environment ?? {}).filter(([name]) => name.endsWith('_FILE'));
    for (const [, path] of named)
      expect(mounts.map(getPath)).toContain(/\/run\/secrets\/\w+/.exec(path)?.[0]);
    for (const mount of mounts) expect(secrets).toHaveProperty(getSource(mount));
  });

  it("keeps Erlang's distribution inside the container of the broker", () => {
    expect(services['rabbitmq']!.environment).toMatchObject({
      ...{ RABBITMQ_NODENAME: 'rabbit@localhost', ERL_EPMD_ADDRESS: '127.0.0.1' },
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: expect.stringContaining('inet_dist_use_interface {127,0,0,1}'),
    });
  });

  it('sets no owner of a secret: Docker fails if this machine does not have the user of the image', () => {
    expect(text).not.toMatch(/\b[ug]id:/);
  });

  it('gives no service a secret of another one', () => {
    for (const app of apps) {
      const mounts = [app, `${app}-migrate`].flatMap((name) => services[name]?.secrets ?? []);
      const others = apps.filter((other) => other !== app);
      for (const mount of mounts)
        for (const other of others) expect(getSource(mount)).not.toMatch(new RegExp(`^${other}_`));
    }
  });

  it('has a secret for each value, generated by the script', () => {
    const made = makeSecrets();
    const sources = Object.values(services).flatMap((one) => (one.secrets ?? []).map(getSource));
    expect(new Set(sources)).toEqual(new Set(Object.keys(secrets)));
    for (const { environment } of Object.values(secrets)) expect(made.has(environment)).toBe(true);
  });

  it('mounts no file of this machine as a secret: the user of the container could not read it', () => {
    expect(text).not.toMatch(/\.jogakbo|^ +file:/m);
  });
});

describe('compose-secrets.mjs', () => {
  const modes = () =>
    ['.env', '.jogakbo/staff.json', '.jogakbo'].map((path) =>
      (statSync(join(folder, path)).mode & 0o777).toString(8),
    );
  const privateModes = ['600', '600', '700'];

  it('makes its files unreadable for other users, and keeps them', () => {
    const made = makeSecrets();
    expect(modes()).toEqual(privateModes);
    const staff = JSON.parse(readFileSync(join(folder, '.jogakbo/staff.json'), 'utf8'));
    expect(JSON.parse(made.get('STAFF')!.slice(1, -1))).toEqual(staff);
    expect(makeSecrets()).toEqual(made);
  });

  const runOnOldNode = () =>
    spawnSync(process.execPath, ['--no-experimental-strip-types', join(root, 'deploy/compose-secrets.mjs')], {
      cwd: folder,
      encoding: 'utf8',
    });

  it('reports that the Node is too old, and writes nothing', () => {
    const { status, stdout, stderr } = runOnOldNode();
    expect({ status, stdout, stderr }).toEqual({
      ...{ status: 1, stdout: '' },
      stderr: expect.stringMatching(/^This needs Node 22\.18 or newer; .*npm ci --include=optional\n$/s),
    });
    expect(existsSync(join(folder, '.env'))).toBe(false);
  });

  it('runs on the Node of the workspace if the Node of the machine is too old', () => {
    mkdirSync(join(folder, 'node_modules/.bin'), { recursive: true });
    symlinkSync(process.execPath, join(folder, 'node_modules/.bin/node'));
    expect(runOnOldNode()).toMatchObject({ status: 0, stderr: '' });
    expect(modes()).toEqual(privateModes);
  });

  it('removes the access of other users to existing files', () => {
    makeSecrets();
    for (const path of ['.env', '.jogakbo/staff.json']) chmodSync(join(folder, path), 0o644);
    makeSecrets();
    expect(modes()).toEqual(privateModes);
  });

  it('names variables and the database of a service with a hyphen by an underscore', () => {
    mkdirSync(join(folder, 'apps', 'gift-cards'));
    writeFileSync(
      join(folder, 'apps', 'gift-cards', 'package.json'),
      '{"jogakbo": {"owner": "x", "database": true}}',
    );
    const made = makeSecrets();
    expect(made.get('GIFT_CARDS_DATABASE_URL')).toBe(
      `postgres://gift_cards:${made.get('GIFT_CARDS_PASSWORD')}@postgres:5432/gift_cards`,
    );
    expect(made.get('GIFT_CARDS_BROKER_URL')).toMatch(/^amqp:\/\/gift-cards:/);
  });

  it('keeps values set by people, and derives addresses from existing passwords', () => {
    writeFileSync(
      join(folder, '.env'),
      'COMPOSE_PROFILES=x\nIDENTITY_PASSWORD=kept\nSMTP_URL=smtps://u:p@mail.example\nIDENTITY_DATABASE_URL=old\n',
    );
    const made = makeSecrets();
    expect(made.get('COMPOSE_PROFILES')).toBe('x');
    expect(made.get('SMTP_URL')).toBe('smtps://u:p@mail.example');
    expect(made.get('IDENTITY_DATABASE_URL')).toBe('postgres://identity:kept@postgres:5432/identity');
    const passwords = JSON.parse(made.get('BROKER_PASSWORDS')!.slice(1, -1)) as Record<string, string>;
    expect(made.get('IDENTITY_BROKER_URL')).toBe(`amqp://identity:${passwords['identity']}@rabbitmq:5672`);
    const serviceKeys = JSON.parse(made.get('SERVICE_KEYS')!.slice(1, -1)) as Record<string, string>;
    expect(serviceKeys['identity']).toBe(made.get('IDENTITY_SERVICE_KEY'));
    expect(modes()).toEqual(privateModes);
  });
});
