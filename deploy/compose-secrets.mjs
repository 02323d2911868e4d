// Generates the secrets for docker-compose.yml: node deploy/compose-secrets.mjs && docker compose up --build
// Writes the generated and the chosen values to .env, the accounts to .jogakbo/staff.json, and what containers read to
// .jogakbo/compose-secrets: ignored by git, not copied into images, out of reach for other users. Existing passwords and
// keys stay unchanged. Requires Node 22.18 or newer, because it reads jogakbo.config.ts: an older Node runs it on the Node
// that `npm ci` installs.
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseEnv } from 'node:util';

if (!process.features.typescript) runOnNewerNode();
const { default: facts } = await import(pathToFileURL(resolve('jogakbo.config.ts')).href);

const randomPassword = () => randomBytes(18).toString('base64url');
const randomKey = () => randomBytes(32).toString('base64url');
const apps = readdirSync('apps').filter((app) => existsSync(`apps/${app}/package.json`));
const manifests = Object.fromEntries(
  apps.map((app) => [app, JSON.parse(readFileSync(`apps/${app}/package.json`, 'utf8')).jogakbo ?? {}]),
);
/** The name of a service's database, and the beginning of the names of its variables. */
const toIdentifier = (app) => app.replaceAll('-', '_');
const toPrefix = (app) => toIdentifier(app).toUpperCase();
const databases = apps.filter((app) => manifests[app].database);

/** Ends this process with the exit code of the other one, or with an error if the workspace has no Node of its own. */
function runOnNewerNode() {
  const node = resolve('node_modules/.bin/node');
  if (!existsSync(node)) {
    console.error(`This needs Node 22.18 or newer; this is ${process.version}.
What to do: run this, and then the command again:  npm ci --include=optional`);
    process.exit(1);
  }
  process.exit(spawnSync(node, process.argv.slice(1), { stdio: 'inherit' }).status ?? 1);
}

/** Makes the file unreadable for other users, also an existing one. */
function writePrivate(path, content) {
  if (existsSync(path)) chmodSync(path, 0o600);
  writeFileSync(path, content, { mode: 0o600 });
}

function readOrCreateStaff(path) {
  mkdirSync('.jogakbo', { recursive: true, mode: 0o700 });
  if (existsSync(path)) {
    chmodSync(path, 0o600);
    console.log(`${path} exists and stays unchanged`);
    return JSON.parse(readFileSync(path, 'utf8'));
  }
  const staff = (facts.localStaff ?? ['operator']).map((role) => ({
    email: `${role}@jogakbo.example`,
    name: role,
    password: process.env.JOGAKBO_SEED_PASSWORD ?? randomPassword(),
    roles: ['member', role],
  }));
  writePrivate(path, `${JSON.stringify(staff, null, 2)}\n`);
  for (const { email, password } of staff) console.log(`${email}  ${password}`);
  return staff;
}

/** Generates each secret once: servers and services store them, or data is encrypted with them. */
function completeSecrets(kept) {
  const all = { RABBITMQ_PASSWORD: randomPassword, POSTGRES_PASSWORD: randomPassword };
  for (const app of apps) {
    const name = toPrefix(app);
    if (databases.includes(app)) all[`${name}_PASSWORD`] = randomPassword;
    all[`${name}_CONFIG_PASSWORD`] = randomPassword;
    all[`${name}_BROKER_PASSWORD`] = randomPassword;
    all[`${name}_SERVICE_KEY`] = randomKey;
  }
  all.CONFIG_KEY = randomKey;
  // Set by people; the services declare the defaults.
  for (const { compose } of Object.values(manifests))
    for (const [name, value] of Object.entries(compose?.secrets ?? {})) all[name] = () => value;
  return Object.fromEntries(Object.entries(all).map(([name, make]) => [name, kept[name] ?? make()]));
}

/** The contents of the files that containers read. */
function listFiles(secrets, staff) {
  const getByApp = (kind) => apps.map((app) => [app, secrets[`${toPrefix(app)}_${kind}`]]);
  const json = JSON.stringify;
  const broker = (login, password) => `amqp://${login}:${password}@rabbitmq:5672`;
  const files = {
    RABBITMQ_CONF: `default_user = jogakbo\ndefault_pass = ${secrets.RABBITMQ_PASSWORD}\n`,
    OPERATOR_BROKER_URL: broker('jogakbo', secrets.RABBITMQ_PASSWORD),
    POSTGRES_PASSWORD: secrets.POSTGRES_PASSWORD,
    CONFIG_KEY: secrets.CONFIG_KEY,
    BROKER_PASSWORDS: json(Object.fromEntries(getByApp('BROKER_PASSWORD'))),
    SERVICE_KEYS: json(Object.fromEntries(getByApp('SERVICE_KEY'))),
    CONFIG_CLIENTS: json(Object.fromEntries(getByApp('CONFIG_PASSWORD'))),
    STAFF: json(staff),
  };
  for (const app of apps) {
    const name = toPrefix(app);
    files[`${name}_BROKER_URL`] = broker(app, secrets[`${name}_BROKER_PASSWORD`]);
    for (const kind of ['CONFIG_PASSWORD', 'SERVICE_KEY'])
      files[`${name}_${kind}`] = secrets[`${name}_${kind}`];
  }
  for (const app of databases) {
    const name = toPrefix(app);
    const database = toIdentifier(app);
    files[`${name}_DATABASE_URL`] =
      `postgres://${database}:${secrets[`${name}_PASSWORD`]}@postgres:5432/${database}`;
  }
  for (const { compose } of Object.values(manifests))
    for (const name of Object.keys(compose?.secrets ?? {})) files[name] = secrets[name];
  return files;
}

/**
 * Writes one file per secret, for every user of its container: the users of the images are not those of this machine.
 * Other users of this machine cannot open the folder.
 */
function writeFiles(folder, files) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { mode: 0o700 });
  for (const [name, content] of Object.entries(files)) {
    const path = `${folder}/${name.toLowerCase()}`;
    writeFileSync(path, content);
    chmodSync(path, 0o444);
  }
}

const staff = readOrCreateStaff('.jogakbo/staff.json');
const before = existsSync('.env') ? readFileSync('.env', 'utf8').split('\n').filter(Boolean) : [];
const parseName = (line) => /^(\w+)=/.exec(line)?.[1];
const kept = Object.fromEntries(before.map((line) => [parseName(line), line.slice(line.indexOf('=') + 1)]));
const secrets = completeSecrets(kept);
const made = Object.entries(secrets).map(([name, value]) => `${name}=${value}`);
const files = listFiles(parseEnv(made.join('\n')), staff);
// An earlier version kept the contents of the files there, too.
const others = before.filter((line) => !(parseName(line) in secrets || parseName(line) in files));
writePrivate('.env', `${[...others, ...made].join('\n')}\n`);
writeFiles('.jogakbo/compose-secrets', files);
const isNew = Object.keys(secrets).filter((name) => !(name in kept));
console.log(`.env contains ${Object.keys(secrets).length} secrets, ${isNew.length} of them new`);
