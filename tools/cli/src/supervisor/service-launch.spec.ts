import { describe, expect, it } from '@jest/globals';
import { serviceEnvironment, type Surroundings } from './service-launch.ts';

const around: Surroundings = {
  state: { folder: '/state', logs: '/state/logs', id: 'x' },
  ...{ publicUrl: 'http://localhost:3000', port: 3000 },
  broker: {
    urls: { orders: 'amqp://orders@us', gateway: 'amqp://gateway@us' },
    operator: 'us',
  },
  databaseUrls: { orders: 'postgresql://orders', identity: 'postgresql://identity' },
  staffFile: '/state/staff.json',
  openIdClientsFile: '/state/openid-clients.json',
  registryPort: 8761,
  ownEndpoints: ['127.0.0.1:5672', '127.0.0.1:5432'],
  serviceKeys: { orders: 'key of orders', gateway: 'key of the gateway' },
  config: {
    passwords: { orders: 'of orders', gateway: 'of the gateway' },
    ...{ keyFile: '/state/config-key', clientsFile: '/state/config-clients.json' },
  },
};
const user = {
  ...{ PATH: '/bin', LANG: 'ko_KR.UTF-8', TZ: 'Asia/Seoul', LOG_LEVEL: 'debug', ORDERS_PAGE: '7' },
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
const of = (name: string, hasDatabase = true) => serviceEnvironment({ name, hasDatabase }, around, user);

describe('serviceEnvironment', () => {
  it('gives a service its own database login and nobody else’s', () => {
    expect(of('orders').DATABASE_URL).toBe('postgresql://orders');
    expect(of('gateway', false)).not.toHaveProperty('DATABASE_URL');
    expect(of('gateway', false)).not.toHaveProperty('PGPASSWORD');
  });

  it('lets two instances of a service with a fixed port listen at the same time', () => {
    const of = (name: string) => serviceEnvironment({ name, hasDatabase: false }, around, {}).REUSE_PORT;
    const shared = process.platform === 'linux' ? 'true' : undefined;
    expect([of('gateway'), of('registry'), of('orders')]).toEqual([shared, shared, undefined]);
  });

  it('gives the public port to the gateway alone', () => {
    expect(of('gateway', false).PORT).toBe('3000');
    expect(of('orders').PORT).toBe('0');
    expect(of('registry').PORT).toBe('8761');
  });

  it('gives a service its own login at the broker, and the name of those who operate it', () => {
    expect(of('orders')).toMatchObject({ RABBITMQ_URL: 'amqp://orders@us', BROKER_OPERATOR: 'us' });
    expect(of('gateway', false).RABBITMQ_URL).toBe('amqp://gateway@us');
    const shared = { ...around, broker: { urls: { orders: 'amqp://us' } } };
    const environment = serviceEnvironment({ name: 'orders', hasDatabase: true }, shared, user);
    expect(environment.RABBITMQ_URL).toBe('amqp://us');
    expect(environment).not.toHaveProperty('BROKER_OPERATOR');
  });

  it('passes the user’s settings on', () => {
    expect(of('orders')).toMatchObject({
      PATH: '/bin',
      TZ: 'Asia/Seoul',
      LOG_LEVEL: 'debug',
      ORDERS_PAGE: '7',
    });
    expect(of('orders')).toMatchObject({ TOKEN_ISSUER: 'http://localhost:3000' });
  });

  it('keeps what belongs to one service from the others', () => {
    expect(of('notifications').SMTP_URL).toBe('smtp://mail');
    expect(of('orders')).not.toHaveProperty('SMTP_URL');
    expect(of('identity').STAFF_FILE).toBe('/state/staff.json');
    expect(of('identity').OIDC_CLIENTS_FILE).toBe('/state/openid-clients.json');
    expect(of('gateway', false).REDIS_URL_FILE).toBe('/redis');
    for (const secret of [
      ...['STAFF_FILE', 'OIDC_CLIENTS_FILE', 'REDIS_URL_FILE', 'RABBITMQ_URL_FILE', 'DATABASE_URL_FILE'],
      ...['JOGAKBO_SEED_PASSWORD', 'npm_lifecycle_event'],
    ]) {
      expect(of('orders')).not.toHaveProperty(secret);
    }
  });

  it('gives a service its own config password, and the key to the secrets to the config server alone', () => {
    expect(of('orders')).toMatchObject({ CONFIG_PASSWORD: 'of orders', CONFIG_CACHE: '/state/config-cache' });
    expect(of('gateway', false).CONFIG_PASSWORD).toBe('of the gateway');
    expect(of('config')).toMatchObject({
      CONFIG_KEY: 'mine',
      CONFIG_CLIENTS_FILE: '/state/config-clients.json',
    });
    // A service refuses to choose between a value and a file.
    expect(of('config')).not.toHaveProperty('CONFIG_KEY_FILE');
    for (const secret of ['CONFIG_KEY', 'CONFIG_KEY_FILE', 'CONFIG_CLIENTS_FILE', 'CONFIG_PASSWORD_FILE'])
      expect(of('orders')).not.toHaveProperty(secret);
  });

  it('runs services in local mode, unless the user does not want it', () => {
    expect(of('orders').LOCAL_MODE).toBe('true');
    const strict = serviceEnvironment({ name: 'orders', hasDatabase: true }, around, { LOCAL_MODE: 'false' });
    expect(strict.LOCAL_MODE).toBe('false');
  });

  it('gives a service its own secret key, and never one of the user for all', () => {
    expect(of('orders').SERVICE_KEY).toBe('key of orders');
    expect(of('gateway', false).SERVICE_KEY).toBe('key of the gateway');
    expect(of('orders')).not.toHaveProperty('SERVICE_KEY_FILE');
  });

  it('tells the gateway and the registry where no upstream may be', () => {
    for (const name of ['gateway', 'registry'])
      expect(of(name).DENIED_UPSTREAMS).toBe('127.0.0.1:5672,127.0.0.1:5432');
    const more = { ...user, DENIED_UPSTREAMS: 'vault' };
    expect(serviceEnvironment({ name: 'gateway', hasDatabase: false }, around, more).DENIED_UPSTREAMS).toBe(
      '127.0.0.1:5672,127.0.0.1:5432,vault',
    );
    expect(of('orders')).not.toHaveProperty('DENIED_UPSTREAMS');
  });

  it('tells the gateway which routes a store that sells must have, unless the user does', () => {
    expect(of('gateway', false).READY_ROUTES).toContain('POST /v1/orders');
    const alone = serviceEnvironment(
      { name: 'gateway', hasDatabase: false },
      { ...around, databaseUrls: {} },
      user,
    );
    expect(alone).not.toHaveProperty('READY_ROUTES');
    expect(of('orders')).not.toHaveProperty('READY_ROUTES');
  });
});
