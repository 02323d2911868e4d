// Makes the passwords that docker-compose.yml needs: node deploy/compose-secrets.mjs && PAYMENT_SANDBOX=true docker compose up --build
// Writes .env and .jogakbo/staff.json: ignored by git, kept out of images, closed to other users. What they hold already
// stays as it is.
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';

const password = () => randomBytes(18).toString('base64url');
const apps = readdirSync('apps').filter((app) => existsSync(`apps/${app}/package.json`));
const databases = apps.filter((app) => {
  const { dependencies = {} } = JSON.parse(readFileSync(`apps/${app}/package.json`, 'utf8'));
  return '@jogakbo/consistency' in dependencies;
});

const names = [
  'RABBITMQ_PASSWORD',
  'POSTGRES_PASSWORD',
  ...databases.map((app) => `${app.toUpperCase()}_PASSWORD`),
  ...apps.map((app) => `${app.toUpperCase()}_CONFIG_PASSWORD`),
  ...apps.map((app) => `${app.toUpperCase()}_BROKER_PASSWORD`),
  ...apps.map((app) => `${app.toUpperCase()}_SERVICE_KEY`),
  'CONFIG_KEY',
];
/** Closed to others, also where the file was open before. */
function writeClosed(path, content) {
  if (existsSync(path)) chmodSync(path, 0o600);
  writeFileSync(path, content, { mode: 0o600 });
}

const staffFile = '.jogakbo/staff.json';
mkdirSync('.jogakbo', { recursive: true, mode: 0o700 });
if (existsSync(staffFile)) {
  chmodSync(staffFile, 0o600);
  console.log(`${staffFile} exists and stays as it is`);
} else {
  const staff = ['merchant', 'operator'].map((role) => ({
    email: `${role}@jogakbo.example`,
    name: role,
    password: process.env.JOGAKBO_SEED_PASSWORD ?? password(),
    roles: ['member', role],
  }));
  writeClosed(staffFile, `${JSON.stringify(staff, null, 2)}\n`);
  for (const { email, password } of staff) console.log(`${email}  ${password}`);
}
// Compose makes a secret of it, for identity alone. Within single quotes nothing is replaced but \'.
const staff = JSON.stringify(JSON.parse(readFileSync(staffFile, 'utf8'))).replaceAll("'", "\\'");

const kept = (existsSync('.env') ? readFileSync('.env', 'utf8') : '').replace(/^STAFF=.*\n/m, '');
const missing = names.filter((name) => !new RegExp(`^${name}=`, 'm').test(kept));
const valueOf = (name) => {
  if (name.endsWith('_SERVICE_KEY')) return randomBytes(32).toString('base64url');
  return name === 'CONFIG_KEY' ? `${password()}${password()}` : password();
};
const lines = missing.map((name) => `${name}=${valueOf(name)}\n`);
writeClosed('.env', `${kept}${lines.join('')}STAFF='${staff}'\n`);
console.log(`.env holds ${names.length} secrets, ${missing.length} of them new`);
