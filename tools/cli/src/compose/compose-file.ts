import { AppManifest, type ProvidedSetting, type WorkspaceConfig } from '@jogakbo/contract/workspace';
import { stringify } from 'yaml';
import { getMemoryFlags, type AppDeclaration } from '../supervisor/service-launch.ts';
import { broker, formatHead, formatPostgres, formatSecrets } from './compose-backing.ts';

/** The port inside of each container: deploy/Dockerfile. */
const containerPort = 3000;
/** Besides those in `compose.secrets` of a package.json: what compose-secrets.mjs makes for the service that declares it. */
const madeSecrets = ['STAFF', 'CONFIG_KEY', 'CONFIG_CLIENTS'];

/** The beginning of the names of a service's own secrets and variables. */
const toPrefix = (name: string): string => name.replaceAll('-', '_');

/** `docker-compose.yml` for these apps. The values of its secrets come from deploy/compose-secrets.mjs. */
export function buildComposeFile(apps: readonly AppDeclaration[], facts: WorkspaceConfig): string {
  const containers = Object.assign({}, ...apps.map(({ manifest }) => manifest.compose.containers)) as Record<
    string,
    Record<string, unknown>
  >;
  const own = ['rabbitmq', 'postgres', ...Object.keys(containers), ...apps.map(({ name }) => name)];
  const databaseUrls = apps
    .filter(({ hasDatabase }) => hasDatabase)
    .map(({ name }) => `${toPrefix(name)}_database_url`);
  const services = [
    broker,
    formatPostgres(databaseUrls),
    ...Object.entries(containers).map(([name, one]) => indent(toYaml({ [name]: one }), 2)),
    ...apps.map((app) => formatApp(app, getProvidedSettings(apps, facts))),
  ];
  return [
    formatHead(facts.name, listNotes(apps), own),
    `services:\n${services.join('\n')}`,
    formatSecrets(listSecrets(apps)),
  ].join('\n');
}

const toYaml = (value: unknown): string => stringify(value, { lineWidth: 0, singleQuote: true });

const indent = (text: string, spaces: number): string => text.replaceAll(/^(?=.)/gm, ' '.repeat(spaces));

/** The addresses, and what the services declare for the head of the file. */
function listNotes(apps: readonly AppDeclaration[]): string[] {
  const open = apps.flatMap(({ name, manifest: { port } }) =>
    port ? [`${name}: http://localhost:${port}`] : [],
  );
  const declared = apps.flatMap(({ manifest }) => manifest.compose.head?.split('\n') ?? []);
  return [...open, 'RabbitMQ management: http://localhost:15672', ...declared];
}

/** The names of all secrets: files of compose-secrets.mjs. */
function listSecrets(apps: readonly AppDeclaration[]): string[] {
  const common = [
    'RABBITMQ_CONF',
    'OPERATOR_BROKER_URL',
    'BROKER_PASSWORDS',
    'SERVICE_KEYS',
    'POSTGRES_PASSWORD',
  ];
  const ofApps = apps.flatMap(({ name, hasDatabase }) =>
    ['BROKER_URL', ...(hasDatabase ? ['DATABASE_URL'] : []), 'CONFIG_PASSWORD', 'SERVICE_KEY'].map(
      (kind) => `${toPrefix(name).toUpperCase()}_${kind}`,
    ),
  );
  return [...common, ...ofApps, ...apps.flatMap(listOwnSecrets)].map((name) => name.toLowerCase());
}

/** The secrets that only this service gets and that have a value in .env. */
const listOwnSecrets = ({ manifest }: AppDeclaration): string[] =>
  manifest.secrets.filter((name) => madeSecrets.includes(name) || name in manifest.compose.secrets);

/** The values of the settings that follow from facts of the workspace. */
function getProvidedSettings(
  apps: readonly AppDeclaration[],
  facts: WorkspaceConfig,
): Record<ProvidedSetting, string> {
  const gateway = apps.find(({ name }) => name === 'gateway');
  return {
    TOKEN_ISSUER: `http://localhost:${gateway?.manifest.port ?? containerPort}`,
    TITLE: facts.title ?? facts.name,
    LANGUAGES: facts.languages.join(),
    ROLES: facts.roles.join(),
    READY_ROUTES: facts.readyRoutes.join(),
    DENIED_UPSTREAMS: '*own',
  };
}

/** The container of a service, and the one that migrates its database before. */
function formatApp(app: AppDeclaration, provided: Record<ProvidedSetting, string>): string {
  const { name, hasDatabase, manifest } = app;
  const build = `
      context: .
      dockerfile: deploy/Dockerfile
      args: { SERVICE: ${name}, SOURCE_DATE_EPOCH: 0 }`;
  const lines = [
    ...(hasDatabase ? [formatMigration(name, build)] : []),
    `  ${name}:`,
    '    <<: *service',
    `    build:${hasDatabase ? ` *${name}-image` : build}`,
    ...formatCommand(manifest),
    ...formatEnvironment(app, provided),
    ...formatAppSecrets(app),
    ...(manifest.port ? [`    ports: ['127.0.0.1:${manifest.port}:${containerPort}']`] : []),
    ...(hasDatabase
      ? [
          '    depends_on:',
          '      <<: *backing',
          `      ${name}-migrate: { condition: service_completed_successfully }`,
        ]
      : []),
  ];
  return `${lines.join('\n')}\n`;
}

const formatMigration = (name: string, build: string): string => `\
  ${name}-migrate:
    build: &${name}-image${build}
    <<: *container
    command: ['node', 'dist/main.js', 'migrate']
    environment: *database
    secrets: [{ source: ${toPrefix(name)}_database_url, target: database_url }]
    depends_on: { postgres: { condition: service_healthy } }`;

const defaultFlags = getMemoryFlags(AppManifest.parse({ owner: 'any' }));

/** The command of a service whose heap differs from the one in deploy/Dockerfile. */
function formatCommand(manifest: AppManifest): string[] {
  const flags = getMemoryFlags(manifest);
  if (flags.join() === defaultFlags.join()) return [];
  const words = ['node', '--import=./dist/source-maps.js', ...flags, 'dist/main.js'];
  return ['    command:', ...words.map((word) => `      - ${word}`)];
}

function formatEnvironment(app: AppDeclaration, provided: Record<ProvidedSetting, string>): string[] {
  const { settings, compose } = app.manifest;
  const files = listOwnSecrets(app).map((name) => {
    const path = `/run/secrets/${name.toLowerCase()}`;
    // An empty setting counts as missing.
    return `${name}_FILE: ${compose.secrets[name] === '' ? `\${${name}:+${path}}` : path}`;
  });
  const own = [
    ...settings.filter((name) => provided[name]).map((name) => `${name}: ${provided[name]}`),
    ...(compose.note ? compose.note.split('\n').map((line) => `# ${line}`) : []),
    ...Object.entries(compose.environment).map((entry) => toYaml(Object.fromEntries([entry])).trimEnd()),
    ...files,
  ];
  const merged = app.hasDatabase ? '[*broker, *database]' : '*broker';
  if (own.length === 0) return [`    environment: { <<: ${merged} }`];
  return ['    environment:', ...[`<<: ${merged}`, ...own].map((line) => `      ${line}`)];
}

function formatAppSecrets(app: AppDeclaration): string[] {
  const kinds = [
    'broker_url',
    ...(app.hasDatabase ? ['database_url'] : []),
    'config_password',
    'service_key',
  ];
  const targets: Record<string, string> = { broker_url: 'rabbitmq_url' };
  return [
    '    secrets:',
    ...kinds.map(
      (kind) => `      - { source: ${toPrefix(app.name)}_${kind}, target: ${targets[kind] ?? kind} }`,
    ),
    ...listOwnSecrets(app).map((name) => `      - ${name.toLowerCase()}`),
  ];
}
