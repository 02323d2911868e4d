import { spawnSync } from 'node:child_process';
import {
  cpSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readWorkspaceConfig } from '@jogakbo/contract/workspace';
import { renderFiles as renderKubernetesFiles } from '@jogakbo/delivery/src/kubernetes/files.ts';
import { computePermissions } from '@jogakbo/messaging/permissions';

const repository = join(import.meta.dirname, '..', '..', '..');
const folder = mkdtempSync(join(tmpdir(), 'jogakbo-add-app-'));
// The command line reads it when it is imported.
process.env.JOGAKBO_WORKSPACE = folder;
const { listApps } = await import('../src/workspace.ts');
const { buildEnvironment, findReadyRoutes } = await import('../src/supervisor/service-launch.ts');
const { ensureSecrets, openState } = await import('../src/supervisor/state.ts');
const { ensureConfigSecrets } = await import('../src/supervisor/config-secrets.ts');
const { buildUrl } = await import('../src/backing/postgres/service-databases.ts');
const { getPublicKeys } = await import('../src/backing/rabbitmq/deploy-step.ts');
const { readBusDescriptions } = await import('../src/bus-descriptions.ts');
const { readStoreMap, renderFiles } = await import('../src/commands/map.ts');
const { renderCodeOwners } = await import('../src/owners/code-owners.ts');
const { buildComposeFile } = await import('../src/compose/compose-file.ts');
const { readWorkspaceDeclaration } = await import('../src/kubernetes-declaration.ts');

/** What a developer writes: two folders. The build writes bus.json from the code. */
const ownFiles: Record<string, string> = {
  'apps/gift-cards/package.json': JSON.stringify({
    name: '@jogakbo/gift-cards',
    main: 'dist/main.js',
    jogakbo: { owner: 'gifts', database: true, settings: ['LANGUAGES'], uses: ['printer'] },
    dependencies: { '@jogakbo/contracts-gift-cards': '0.1.0' },
  }),
  'apps/gift-cards/dist/bus.json': JSON.stringify({
    service: 'gift-cards',
    contracts: [
      {
        ...{ name: 'gift-cards.issue-card', kind: 'command' },
        offered: { asks: [], subscribesTo: [], routes: ['POST /v1/gift-cards'], access: 'member' },
      },
    ],
    calls: ['config.read-settings'],
    subscribesTo: ['identity.member-registered'],
    publishes: [],
    isGateway: false,
  }),
  'libs/contracts/gift-cards/package.json': '{"name": "@jogakbo/contracts-gift-cards"}',
  'libs/contracts/gift-cards/src/index.ts': 'export {};\n',
};
/** `jogakbo compose`, `map`, `docs`, `kubernetes` and `owners` with `--write`, and `npm install` write these, never people. */
const generatedFiles = [
  ...['docker-compose.yml', 'docs/map/README.md', 'docs/map/map.svg', 'package-lock.json'],
  'docs/CODEOWNERS',
  'docs/reference/**/*.md',
  'deploy/kubernetes/{base,backing/*}/*.yaml',
];
const secretFiles = ['.env', '.jogakbo/**/*'];

function addApp(): void {
  for (const [path, text] of Object.entries(ownFiles)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
}

function removeApp(): void {
  for (const path of ['apps/gift-cards', 'libs/contracts/gift-cards'])
    rmSync(join(folder, path), { recursive: true });
}

/** The texts of all files that people write, except those of the new app. */
function readFiles(): Map<string, string> {
  const exclude = [...generatedFiles, ...secretFiles, '{apps,libs/contracts}/gift-cards'];
  const files = globSync('**/*', { cwd: folder, exclude, withFileTypes: true }).filter((one) => one.isFile());
  const paths = files.map(({ parentPath, name }) => join(parentPath, name)).sort();
  return new Map(paths.map((path) => [path, readFileSync(path, 'utf8')]));
}

/** The environment in which the launcher starts each service, by service name. */
async function buildEnvironments(): Promise<Record<string, NodeJS.ProcessEnv>> {
  const apps = listApps();
  const names = apps.map(({ name }) => name);
  const state = openState(mkdtempSync(join(folder, '.jogakbo-')));
  const { databasePasswords, brokerPasswords, serviceKeys } = ensureSecrets(state, names);
  const facts = await readWorkspaceConfig(folder);
  const server = { kind: 'process', url: 'postgres://127.0.0.1:5432' };
  const context = {
    ...{
      state,
      facts,
      serviceKeys,
      readyRoutes: findReadyRoutes(facts, apps),
      publicUrl: 'http://localhost',
    },
    ...{ ports: {}, staffFile: '/staff', openIdClientsFile: '/clients', backingEndpoints: [] },
    broker: {
      urls: Object.fromEntries(names.map((name) => [name, `amqp://${name}:${brokerPasswords[name]}@b`])),
    },
    databaseUrls: Object.fromEntries(
      names.map((name) => [name, buildUrl(server, name, databasePasswords[name]!)]),
    ),
    config: ensureConfigSecrets(state, apps),
    versions: {},
  };
  expect(Object.keys(getPublicKeys(serviceKeys)).sort()).toEqual(names);
  rmSync(state.folder, { recursive: true });
  return Object.fromEntries(apps.map((app) => [app.name, buildEnvironment(app, context, {}, apps)]));
}

/** The files that containers read, with their contents. */
function makeSecrets(): Record<string, string> {
  const { status, stderr } = spawnSync(process.execPath, [join(repository, 'deploy/compose-secrets.mjs')], {
    cwd: folder,
    encoding: 'utf8',
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const secrets = join(folder, '.jogakbo', 'compose-secrets');
  const files = readdirSync(secrets).map((name) => [name, readFileSync(join(secrets, name), 'utf8')]);
  for (const path of ['.env', '.jogakbo']) rmSync(join(folder, path), { recursive: true });
  return Object.fromEntries(files);
}

/** Everything that is derived from the folders of the apps. */
async function deriveAll() {
  return {
    apps: listApps().map(({ name }) => name),
    databases: listApps().flatMap(({ name, hasDatabase }) => (hasDatabase ? name : [])),
    environments: await buildEnvironments(),
    permissions: computePermissions(readBusDescriptions(listApps()), 'operator'),
    map: renderFiles(readStoreMap()),
    codeOwners: renderCodeOwners(listApps(), await readWorkspaceConfig(folder), folder),
    composeFile: buildComposeFile(listApps(), await readWorkspaceConfig(folder)),
    kubernetes: renderKubernetesFiles(await readWorkspaceDeclaration(), '0.1.0'),
    secrets: makeSecrets(),
  };
}

describe('a new app', () => {
  let before: Awaited<ReturnType<typeof deriveAll>>;
  let during: typeof before;
  let after: typeof before;
  const files: Map<string, string>[] = [];

  beforeAll(async () => {
    for (const path of globSync(
      '{jogakbo.config.ts,apps/*/package.json,apps/*/dist/bus.json,libs/**/package.json,deploy/*.sh}',
      {
        cwd: repository,
        exclude: ['**/node_modules'],
      },
    ))
      cpSync(join(repository, path), join(folder, path));
    files.push(readFiles());
    before = await deriveAll();
    addApp();
    during = await deriveAll();
    files.push(readFiles());
    removeApp();
    after = await deriveAll();
    files.push(readFiles());
  }, 20_000);
  afterAll(() => rmSync(folder, { recursive: true }));

  it('changes no file outside of its two folders', () => {
    expect(files[0]!.size).toBeGreaterThan(20);
    expect(files[1]).toEqual(files[0]);
    expect(files[2]).toEqual(files[0]);
  });

  it('is started with its own settings, secrets and database', () => {
    expect(during.apps).toEqual([...before.apps, 'gift-cards'].sort());
    expect(during.databases).toEqual([...before.databases, 'gift-cards'].sort());
    expect(during.environments['gift-cards']).toMatchObject({
      RABBITMQ_URL: expect.stringMatching(/^amqp:\/\/gift-cards:[\w-]{20,}@/),
      DATABASE_URL: expect.stringMatching(/^postgres:\/\/gift_cards:[\w-]{20,}@127.0.0.1:5432\/gift_cards$/),
      CONFIG_PASSWORD: expect.stringMatching(/^[\w-]{20,}$/),
      SERVICE_KEY: expect.stringMatching(/^[\w-]{20,}$/),
      LANGUAGES: during.environments['identity']!.LANGUAGES,
    });
    expect(during.environments['gift-cards']).not.toHaveProperty('ROLES');
  });

  it('has a login with the permissions that its contracts imply', () => {
    const permissions = during.permissions.get('gift-cards')!;
    expect(permissions.read).toContain('gift-cards');
    expect(permissions.topics.length).toBeGreaterThan(0);
    // The gateway may send its command, because it has a route.
    const { topics } = during.permissions.get('gateway')!;
    expect(JSON.stringify(topics)).toContain('gift-cards');
    expect(JSON.stringify(before.permissions.get('gateway'))).not.toContain('gift-cards');
  });

  it('has its team as the owner of its folders', () => {
    expect(during.codeOwners).toMatch(/^\/apps\/gift-cards\/ @\S*gifts$/m);
    expect(during.codeOwners).toMatch(/^\/libs\/contracts\/gift-cards\/ @\S*gifts$/m);
  });

  it('is in the compose file, the secrets and the map', () => {
    for (const part of [
      'gift-cards:',
      'gift-cards-migrate:',
      '- gift_cards_database_url',
      'gift_cards_service_key: { file: .jogakbo/compose-secrets/gift_cards_service_key }',
    ])
      expect(during.composeFile).toContain(part);
    expect(during.composeFile).toMatch(/^x-own: .*,gift-cards,/m);
    for (const name of ['broker_url', 'database_url', 'config_password', 'service_key'])
      expect(during.secrets[`gift_cards_${name}`]).toMatch(/./);
    expect(JSON.parse(during.secrets.broker_passwords!)).toHaveProperty('gift-cards');
    for (const text of Object.values(during.map)) expect(text).toContain('gift-cards');
    expect(during.map['README.md']).toContain('POST /v1/gift-cards');
    expect(during.map['README.md']).toContain('printer');
  });

  it('is in the Kubernetes objects', () => {
    const isNew = (path: string) => !(path in before.kubernetes);
    expect(Object.keys(during.kubernetes).filter(isNew)).toEqual(['base/gift-cards.yaml']);
    expect(during.kubernetes['base/gift-cards.yaml']).toContain('name: gift-cards-migrate\n');
    expect(during.kubernetes['base/kustomization.yaml']).toContain('- gift-cards.yaml\n');
    expect(during.kubernetes['backing/operators/postgres.yaml']).toContain('owner: gift_cards\n');
  });

  it('is gone everywhere after its removal', () => {
    expect(JSON.stringify({ ...after, permissions: [...after.permissions] })).not.toMatch(/gift.cards/i);
    for (const key of [
      'apps',
      'databases',
      'permissions',
      'map',
      'codeOwners',
      'composeFile',
      'kubernetes',
    ] as const)
      expect(after[key]).toEqual(before[key]);
  });
});
