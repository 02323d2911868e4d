import { describe, expect, it } from '@jest/globals';
import { parseAppManifest, WorkspaceConfig } from '@jogakbo/contract/workspace';
import { buildEnvironment, getMemoryFlags, type LaunchContext } from './service-launch.ts';

const context: LaunchContext = {
  state: { folder: '/state', logs: '/state/logs', id: 'x' },
  facts: WorkspaceConfig.parse({ name: 'teas', roles: ['taster'], languages: ['fr', 'de'] }),
  readyRoutes: ['POST /v1/tastings'],
  ...{ publicUrl: 'http://localhost:3000', ports: { gateway: 3000, registry: 8761 } },
  broker: {
    urls: { tea: 'amqp://tea@us', gateway: 'amqp://gateway@us' },
    brokerOperator: 'us',
  },
  databaseUrls: { tea: 'postgresql://tea', identity: 'postgresql://identity' },
  staffFile: '/state/staff.json',
  openIdClientsFile: '/state/openid-clients.json',
  backingEndpoints: ['127.0.0.1:5672', '127.0.0.1:5432'],
  serviceKeys: { tea: 'key of tea', gateway: 'key of the gateway' },
  versions: { tea: '1.0.0-4f2a90c1d3' },
  config: {
    passwords: { tea: 'of tea', gateway: 'of the gateway' },
    ...{ keyFile: '/state/config-key', clientsFile: '/state/config-clients.json' },
  },
};
const user = {
  ...{ PATH: '/bin', LANG: 'ko_KR.UTF-8', TZ: 'Asia/Seoul', LOG_LEVEL: 'debug', TEA_PAGE: '7' },
  ...{ DATABASE_URL: 'postgresql://admin', PGPASSWORD: 'admin', RABBITMQ_URL: 'amqp://theirs' },
  ...{ RABBITMQ_URL_FILE: '/theirs', DATABASE_URL_FILE: '/theirs' },
  ...{
    SMTP_URL: 'smtp://mail',
    STAFF_FILE: '/theirs',
    REDIS_URL_FILE: '/redis',
    JOGAKBO_SEED_PASSWORD: 'secret',
    ...{ CONFIG_KEY: 'mine', CONFIG_PASSWORD: 'theirs', CONFIG_PASSWORD_FILE: '/theirs' },
    ...{ SERVICE_KEY: 'theirs', SERVICE_KEY_FILE: '/theirs' },
    npm_lifecycle_event: 'start',
  },
};
const manifests: Record<string, object> = {
  gateway: { settings: ['LANGUAGES', 'READY_ROUTES', 'DENIED_UPSTREAMS'], secrets: ['REDIS_URL'] },
  registry: { settings: ['DENIED_UPSTREAMS'] },
  identity: { settings: ['LANGUAGES', 'ROLES'], secrets: ['STAFF', 'OIDC_CLIENTS'] },
  config: { secrets: ['CONFIG_KEY', 'CONFIG_CLIENTS'] },
  mailer: { secrets: ['SMTP_URL'] },
};
const createApp = (name: string, hasDatabase = true) => ({
  ...{ name, hasDatabase },
  manifest: parseAppManifest({ owner: 'team', ...manifests[name] }, name),
});
const apps = [...Object.keys(manifests), 'tea'].map((name) => createApp(name));
const build = (name: string, from: NodeJS.ProcessEnv, hasDatabase = true, at = context) =>
  buildEnvironment(createApp(name, hasDatabase), at, from, apps);
const getEnvironment = (name: string, hasDatabase = true) => build(name, user, hasDatabase);

describe('buildEnvironment', () => {
  it('gives a service only its own database login', () => {
    expect(getEnvironment('tea').DATABASE_URL).toBe('postgresql://tea');
    expect(getEnvironment('gateway', false)).not.toHaveProperty('DATABASE_URL');
    expect(getEnvironment('gateway', false)).not.toHaveProperty('PGPASSWORD');
  });

  it('shares the fixed port between two instances of a service', () => {
    const getEnvironment = (name: string) => build(name, {}, false).REUSE_PORT;
    const shared = process.platform === 'linux' ? 'true' : undefined;
    expect([getEnvironment('gateway'), getEnvironment('registry'), getEnvironment('tea')]).toEqual([
      shared,
      shared,
      undefined,
    ]);
  });

  it('gives the public port only to the gateway', () => {
    expect(getEnvironment('gateway', false).PORT).toBe('3000');
    expect(getEnvironment('tea').PORT).toBe('0');
    expect(getEnvironment('registry').PORT).toBe('8761');
  });

  it('gives a service its own broker login and the name of the operator login', () => {
    expect(getEnvironment('tea')).toMatchObject({
      RABBITMQ_URL: 'amqp://tea@us',
      BROKER_OPERATOR: 'us',
    });
    expect(getEnvironment('gateway', false).RABBITMQ_URL).toBe('amqp://gateway@us');
    const shared = { ...context, broker: { urls: { tea: 'amqp://us' } } };
    const environment = build('tea', user, true, shared);
    expect(environment.RABBITMQ_URL).toBe('amqp://us');
    expect(environment).not.toHaveProperty('BROKER_OPERATOR');
  });

  it('gives a service its version, not one of the user', () => {
    const theirs = { SERVICE_VERSION: '9' };
    expect(build('tea', theirs).SERVICE_VERSION).toBe('1.0.0-4f2a90c1d3');
    expect(build('mailer', theirs)).not.toHaveProperty('SERVICE_VERSION');
  });

  it('passes the settings of the user to the services', () => {
    expect(getEnvironment('tea')).toMatchObject({
      PATH: '/bin',
      TZ: 'Asia/Seoul',
      LOG_LEVEL: 'debug',
      TEA_PAGE: '7',
    });
    expect(getEnvironment('tea')).toMatchObject({ TOKEN_ISSUER: 'http://localhost:3000' });
  });

  it('passes the secrets of one service to no other service', () => {
    expect(getEnvironment('mailer').SMTP_URL).toBe('smtp://mail');
    expect(getEnvironment('tea')).not.toHaveProperty('SMTP_URL');
    expect(getEnvironment('identity').STAFF_FILE).toBe('/state/staff.json');
    expect(getEnvironment('identity').OIDC_CLIENTS_FILE).toBe('/state/openid-clients.json');
    expect(getEnvironment('gateway', false).REDIS_URL_FILE).toBe('/redis');
    for (const secret of [
      ...['STAFF_FILE', 'OIDC_CLIENTS_FILE', 'REDIS_URL_FILE', 'RABBITMQ_URL_FILE', 'DATABASE_URL_FILE'],
      ...['JOGAKBO_SEED_PASSWORD', 'npm_lifecycle_event'],
    ]) {
      expect(getEnvironment('tea')).not.toHaveProperty(secret);
    }
  });

  it('gives a service its own config password, and the encryption key only to the config server', () => {
    expect(getEnvironment('tea')).toMatchObject({
      CONFIG_PASSWORD: 'of tea',
      CONFIG_CACHE: '/state/config-cache',
    });
    expect(getEnvironment('gateway', false).CONFIG_PASSWORD).toBe('of the gateway');
    expect(getEnvironment('config')).toMatchObject({
      CONFIG_KEY: 'mine',
      CONFIG_CLIENTS_FILE: '/state/config-clients.json',
    });
    // A service rejects a setting that has both a value and a file.
    expect(getEnvironment('config')).not.toHaveProperty('CONFIG_KEY_FILE');
    for (const secret of ['CONFIG_KEY', 'CONFIG_KEY_FILE', 'CONFIG_CLIENTS_FILE', 'CONFIG_PASSWORD_FILE'])
      expect(getEnvironment('tea')).not.toHaveProperty(secret);
  });

  it('runs services in local mode unless the user disables it', () => {
    expect(getEnvironment('tea').LOCAL_MODE).toBe('true');
    const strict = build('tea', { LOCAL_MODE: 'false' });
    expect(strict.LOCAL_MODE).toBe('false');
  });

  it('gives a service its own secret key, never a shared one from the environment', () => {
    expect(getEnvironment('tea').SERVICE_KEY).toBe('key of tea');
    expect(getEnvironment('gateway', false).SERVICE_KEY).toBe('key of the gateway');
    expect(getEnvironment('tea')).not.toHaveProperty('SERVICE_KEY_FILE');
  });

  it('passes the denied upstream addresses to the gateway and the registry', () => {
    for (const name of ['gateway', 'registry'])
      expect(getEnvironment(name).DENIED_UPSTREAMS).toBe('127.0.0.1:5672,127.0.0.1:5432');
    const more = { ...user, DENIED_UPSTREAMS: 'vault' };
    expect(build('gateway', more).DENIED_UPSTREAMS).toBe('127.0.0.1:5672,127.0.0.1:5432,vault');
    expect(getEnvironment('tea')).not.toHaveProperty('DENIED_UPSTREAMS');
  });

  it('sets the required routes on the gateway, unless no service serves them or the user sets them', () => {
    expect(getEnvironment('gateway', false).READY_ROUTES).toBe('POST /v1/tastings');
    const alone = build('gateway', user, false, { ...context, readyRoutes: [] });
    expect(alone).not.toHaveProperty('READY_ROUTES');
    expect(build('gateway', { READY_ROUTES: 'GET /v1/mine' }).READY_ROUTES).toBe('GET /v1/mine');
    expect(getEnvironment('tea')).not.toHaveProperty('READY_ROUTES');
  });

  it('passes facts of the workspace only to the services that declare the setting', () => {
    expect(getEnvironment('gateway', false).LANGUAGES).toBe('fr,de');
    expect(getEnvironment('identity')).toMatchObject({ LANGUAGES: 'fr,de', ROLES: 'taster' });
    expect(getEnvironment('gateway', false)).not.toHaveProperty('ROLES');
    expect(getEnvironment('tea')).not.toHaveProperty('LANGUAGES');
  });

  it('limits the memory as the service declares', () => {
    const { manifest } = createApp('tea');
    expect(getMemoryFlags(manifest)).toEqual(['--max-semi-space-size=4', '--max-old-space-size=128']);
    expect(getMemoryFlags({ ...manifest, heap: { young: 16, old: 256 } })).toEqual([
      '--max-semi-space-size=16',
      '--max-old-space-size=256',
    ]);
  });
});
