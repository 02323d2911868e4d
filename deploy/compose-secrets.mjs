// Makes the passwords that docker-compose.yml needs: node deploy/compose-secrets.mjs && docker compose up --build
// Writes .env and .jogakbo/staff.json (both ignored by git). What they hold already stays as it is.
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
const kept = existsSync('.env') ? readFileSync('.env', 'utf8') : '';
const missing = names.filter((name) => !new RegExp(`^${name}=`, 'm').test(kept));
const valueOf = (name) => {
  if (name.endsWith('_SERVICE_KEY')) return randomBytes(32).toString('base64url');
  return name === 'CONFIG_KEY' ? `${password()}${password()}` : password();
};
const lines = missing.map((name) => `${name}=${valueOf(name)}\n`);
writeFileSync('.env', kept + lines.join(''), { mode: 0o600 });
chmodSync('.env', 0o600);
console.log(`.env holds ${names.length} secrets, ${missing.length} of them new`);

if (existsSync('.jogakbo/staff.json')) {
  console.log('.jogakbo/staff.json exists and stays as it is');
} else {
  mkdirSync('.jogakbo', { recursive: true });
  const staff = ['merchant', 'operator'].map((role) => ({
    email: `${role}@jogakbo.example`,
    name: role,
    password: process.env.JOGAKBO_SEED_PASSWORD ?? password(),
    roles: ['member', role],
  }));
  // The container reads it as another user; the folder above it is this user's alone.
  writeFileSync('.jogakbo/staff.json', `${JSON.stringify(staff, null, 2)}\n`, { mode: 0o644 });
  for (const { email, password } of staff) console.log(`${email}  ${password}`);
}
