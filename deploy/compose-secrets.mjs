// Makes the passwords that docker-compose.yml needs: node deploy/compose-secrets.mjs && docker compose up --build
// Writes .env and .jogakbo/staff.json (both ignored by git), or leaves them as they are where they exist.
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';

const password = () => randomBytes(18).toString('base64url');
const apps = readdirSync('apps').filter((app) => existsSync(`apps/${app}/package.json`));
const databases = apps.filter((app) => {
  const { dependencies = {} } = JSON.parse(readFileSync(`apps/${app}/package.json`, 'utf8'));
  return '@jogakbo/consistency' in dependencies;
});

if (existsSync('.env')) {
  console.log('.env exists and stays as it is');
} else {
  const names = [
    'RABBITMQ_PASSWORD',
    'POSTGRES_PASSWORD',
    'REGISTRATION_SECRET',
    ...databases.map((app) => `${app.toUpperCase()}_PASSWORD`),
    ...apps.map((app) => `${app.toUpperCase()}_CONFIG_PASSWORD`),
  ];
  const lines = [...names.map((name) => `${name}=${password()}`), `CONFIG_KEY=${password()}${password()}`];
  writeFileSync('.env', lines.map((line) => `${line}\n`).join(''), { mode: 0o600 });
  console.log(`.env holds ${lines.length} new passwords`);
}

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
