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
  secrets: Record<string, { file: string }>;
}

const root = join(import.meta.dirname, '..', '..', '..');
const secretsFolder = '.jogakbo/compose-secrets';
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

const readEnvironment = (): Map<string, string> => {
  const lines = readFileSync(join(folder, '.env'), 'utf8').trimEnd().split('\n');
  return new Map(lines.map((line) => [line.split('=')[0]!, line.slice(line.indexOf('=') + 1)]));
};

/** The contents of the files that containers read, by name. */
const readFiles = (): Map<string, string> =>
  new Map(
    readdirSync(join(folder, secretsFolder)).map((name) => [
      name,
      readFileSync(join(folder, secretsFolder, name), 'utf8'),
    ]),
  );

/** @returns the lines of .env */
function makeSecrets(): Map<string, string> {
  const { status, stderr } = spawnSync(process.execPath, [join(root, 'deploy/compose-secrets.mjs')], {
    cwd: folder,
    encoding: 'utf8',
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return readEnvironment();
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
    const all = [...made.values(), ...readFiles().values()].filter((value) => value.length > 12);
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
    makeSecrets();
    const sources = Object.values(services).flatMap((one) => (one.secrets ?? []).map(getSource));
    expect(new Set(sources)).toEqual(new Set(Object.keys(secrets)));
    for (const [name, { file }] of Object.entries(secrets)) expect(file).toBe(`${secretsFolder}/${name}`);
    expect([...readFiles().keys()].sort()).toEqual(Object.keys(secrets).sort());
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
    const files = readFiles();
    expect(JSON.parse(files.get('staff')!)).toEqual(staff);
    expect(makeSecrets()).toEqual(made);
    expect(readFiles()).toEqual(files);
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

  it('lets every user of a container read its files, and no other user of this machine', () => {
    makeSecrets();
    expect(statSync(join(folder, secretsFolder)).mode & 0o777).toBe(0o700);
    for (const name of readFiles().keys())
      expect(statSync(join(folder, secretsFolder, name)).mode & 0o777).toBe(0o444);
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
    const files = readFiles();
    expect(files.get('gift_cards_database_url')).toBe(
      `postgres://gift_cards:${made.get('GIFT_CARDS_PASSWORD')}@postgres:5432/gift_cards`,
    );
    expect(files.get('gift_cards_broker_url')).toMatch(/^amqp:\/\/gift-cards:/);
  });

  it('keeps values set by people, and derives addresses from existing passwords', () => {
    mkdirSync(join(folder, 'apps', 'mailer'));
    writeFileSync(
      join(folder, 'apps', 'mailer', 'package.json'),
      '{"jogakbo": {"owner": "x", "compose": {"secrets": {"MAIL_URL": ""}}}}',
    );
    writeFileSync(
      join(folder, '.env'),
      'COMPOSE_PROFILES=x\nIDENTITY_PASSWORD=kept\nMAIL_URL="smtps://u:p@mail.example"\nIDENTITY_DATABASE_URL=old\n',
    );
    const made = makeSecrets();
    expect(made.get('COMPOSE_PROFILES')).toBe('x');
    expect(made.get('MAIL_URL')).toBe('"smtps://u:p@mail.example"');
    expect(made.has('IDENTITY_DATABASE_URL')).toBe(false);
    const files = readFiles();
    expect(files.get('mail_url')).toBe('smtps://u:p@mail.example');
    expect(files.get('identity_database_url')).toBe('postgres://identity:kept@postgres:5432/identity');
    const passwords = JSON.parse(files.get('broker_passwords')!) as Record<string, string>;
    expect(files.get('identity_broker_url')).toBe(`amqp://identity:${passwords['identity']}@rabbitmq:5672`);
    const serviceKeys = JSON.parse(files.get('service_keys')!) as Record<string, string>;
    expect(serviceKeys['identity']).toBe(made.get('IDENTITY_SERVICE_KEY'));
    expect(modes()).toEqual(privateModes);
  });
});
