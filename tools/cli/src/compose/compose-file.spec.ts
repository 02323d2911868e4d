import { describe, expect, it } from '@jest/globals';
import { parseAppManifest, WorkspaceConfig } from '@jogakbo/contract/workspace';
import { parse } from 'yaml';
import type { AppDeclaration } from '../supervisor/service-launch.ts';
import { buildComposeFile } from './compose-file.ts';

interface Compose {
  services: Record<string, Record<string, unknown>>;
  secrets: Record<string, { file: string }>;
}

const facts = WorkspaceConfig.parse({
  ...{ name: 'tearoom', roles: ['taster'], languages: ['fr', 'de'], readyRoutes: ['POST /v1/tastings'] },
});

function describeApp(name: string, declared: Record<string, unknown> = {}): AppDeclaration {
  const manifest = parseAppManifest({ owner: 'tea', ...declared }, name);
  return { name, hasDatabase: manifest.database, manifest };
}

const build = (...apps: AppDeclaration[]): string => buildComposeFile(apps, facts);
const read = (...apps: AppDeclaration[]): Compose => parse(build(...apps), { merge: true }) as Compose;

describe('the compose file', () => {
  it('passes facts of the workspace only to services that declare them', () => {
    const settings = ['TOKEN_ISSUER', 'TITLE', 'LANGUAGES', 'ROLES', 'READY_ROUTES', 'DENIED_UPSTREAMS'];
    const { services } = read(describeApp('gateway', { port: 3001, settings }), describeApp('tea'));
    expect(services.gateway!.environment).toMatchObject({
      ...{ TOKEN_ISSUER: 'http://localhost:3001', TITLE: 'tearoom', LANGUAGES: 'fr,de', ROLES: 'taster' },
      ...{ READY_ROUTES: 'POST /v1/tastings', DENIED_UPSTREAMS: 'rabbitmq,postgres,gateway,tea' },
    });
    expect(services.gateway!.ports).toEqual(['127.0.0.1:3001:3000']);
    for (const name of settings) expect(services.tea!.environment).not.toHaveProperty(name);
    expect(services.tea).not.toHaveProperty('ports');
  });

  it('migrates the database of a service before its start', () => {
    const { services, secrets } = read(describeApp('gift-cards', { database: true }), describeApp('tea'));
    expect(services['gift-cards-migrate']).toMatchObject({ command: ['node', 'dist/main.js', 'migrate'] });
    expect(services['gift-cards']!.depends_on).toMatchObject({
      'gift-cards-migrate': { condition: 'service_completed_successfully' },
    });
    // A name with a hyphen can be no variable and no unquoted name of a database.
    expect(services.postgres!.secrets).toEqual(['postgres_password', 'gift_cards_database_url']);
    expect(secrets.gift_cards_database_url).toEqual({
      file: '.jogakbo/compose-secrets/gift_cards_database_url',
    });
    expect(services).not.toHaveProperty('tea-migrate');
    expect(secrets).not.toHaveProperty('tea_database_url');
  });

  it('lets Swarm start a new version before it ends the old one, and go back', () => {
    const { services } = read(describeApp('tea', { database: true }));
    const update_config = { order: 'start-first', failure_action: 'rollback' };
    expect(services.tea!.deploy).toEqual({ update_config });
    expect(services['tea-migrate']).not.toHaveProperty('deploy');
  });

  it('contains what a service adds', () => {
    const tea = describeApp('tea', {
      secrets: ['KETTLE_KEY', 'LEAF_KEY', 'UNUSED_KEY'],
      compose: {
        head: 'kettle: http://localhost:9000',
        note: 'The kettle.\nIt needs a key.',
        environment: { KETTLE_URL: '${KETTLE_URL:-}' },
        secrets: { KETTLE_KEY: '', LEAF_KEY: 'green' },
        containers: { kettle: { image: 'kettle:1.0.0', ports: ['127.0.0.1:9000:9000'] } },
      },
    });
    const { services, secrets } = read(tea);
    expect(services.kettle).toEqual({ image: 'kettle:1.0.0', ports: ['127.0.0.1:9000:9000'] });
    expect(services.tea!.environment).toMatchObject({
      KETTLE_URL: '${KETTLE_URL:-}',
      KETTLE_KEY_FILE: '${KETTLE_KEY:+/run/secrets/kettle_key}',
      LEAF_KEY_FILE: '/run/secrets/leaf_key',
    });
    expect(services.tea!.secrets).toEqual(expect.arrayContaining(['kettle_key', 'leaf_key']));
    expect(secrets.leaf_key).toEqual({ file: '.jogakbo/compose-secrets/leaf_key' });
    expect(secrets).not.toHaveProperty('unused_key');
    expect(build(tea)).toContain('      # The kettle.\n      # It needs a key.\n');
    expect(build(tea)).toMatch(/^(# .*\n)+# kettle: http:\/\/localhost:9000\nname: tearoom\n/m);
  });

  it('gives no container of a service the right to change its own files', () => {
    const { services } = read(describeApp('tea', { database: true }));
    for (const name of ['tea', 'tea-migrate', 'broker-logins'])
      expect(services[name]).toMatchObject({
        ...{ read_only: true, tmpfs: ['/tmp'], cap_drop: ['ALL'] },
        security_opt: ['no-new-privileges:true'],
      });
  });

  it('sets a heap other than that of the image', () => {
    const { services } = read(describeApp('tea', { heap: { young: 8, old: 64 } }), describeApp('tomes'));
    expect(services.tea!.command).toEqual([
      ...['node', '--import=./dist/source-maps.js', '--max-semi-space-size=8', '--max-old-space-size=64'],
      'dist/main.js',
    ]);
    expect(services.tomes).not.toHaveProperty('command');
  });
});
