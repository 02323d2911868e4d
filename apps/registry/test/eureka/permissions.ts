import { describe, expect, it } from '@jest/globals';
import { RemoveRegistration } from '@jogakbo/contracts-registry';
import { start } from '@jogakbo/service';
import { GreeterModule } from '../greeter.ts';
import { getSecret, nextLetter, operator, toBasic, type EurekaUnderTest } from './eureka-under-test.ts';

export function testPermissions(api: EurekaUnderTest): void {
  const { eureka, grant, hellos, instances, register, registration } = api;

  describe('rejects requests', () => {
    const changes = [
      ['PUT', '/apps/HELLO/hello-1'],
      ['PUT', '/apps/HELLO/hello-1?status=DOWN'],
      ['DELETE', '/apps/HELLO/hello-1'],
      ['PUT', '/apps/HELLO/hello-1/status?value=DOWN'],
      ['DELETE', '/apps/HELLO/hello-1/status'],
      ['PUT', '/apps/HELLO/hello-1/metadata?a=b'],
    ] as const;

    it.each([
      ['without a credential', '', 401],
      ['with another secret', toBasic('hello', 'wrong'), 401],
      ['with no secret', toBasic('hello', ''), 401],
      ['of an unknown app', toBasic('unknown', ''), 401],
      ['in base64 with different unused bits', toBasic('hello').replace(/.(?==*$)/, nextLetter), 401],
      ['in base64 with an invalid character', toBasic('hello').replace('Basic a', 'Basic *a'), 401],
      ['with the secret as the name', toBasic(getSecret('hello'), ''), 401],
      ['with another scheme', `Bearer ${getSecret('hello')}`, 401],
      ['with the credential of another app', toBasic('bye'), 403],
    ])('%s', async (_, authorization, status) => {
      await register({ leaseInfo: undefined });
      expect((await register({ instanceId: 'hello-2' }, { authorization })).status).toBe(status);
      for (const [method, path] of changes) {
        const answer = await eureka(method, path, { authorization });
        expect({ method, path, status: answer.status }).toEqual({ method, path, status });
      }
      expect(await hellos()).toMatchObject([{ instance: 'eureka:HELLO:hello-1', state: 'up' }]);
    });

    it('that register another app than the path names', async () => {
      const body = registration({ app: 'HELLO' });
      expect((await eureka('POST', '/apps/BYE', { body })).status).toBe(400);
      expect(await hellos()).toEqual([]);
    });
  });

  describe('rejects an address', () => {
    const at = (address: string, port = 8080) => ({
      hostName: address,
      ipAddr: undefined,
      port: { $: port, '@enabled': 'true' },
    });
    it.each([
      ['outside of the networks', at('10.0.0.1'), 'in none of the permitted networks'],
      ['of a metadata service', at('169.254.169.254'), 'never permitted (linkLocal)'],
      ['that is unspecified', at('0.0.0.0'), 'never permitted (unspecified)'],
      ['that is unspecified in another notation', at('0'), 'never permitted (unspecified)'],
      ['in IPv6 outside of the networks', at('::1'), 'in none of the permitted networks'],
      ['of the store', at('127.0.0.1', 6543), 'belongs to the store itself'],
      ['of the store in another notation', at('0x7f000002', 6543), 'belongs to the store itself'],
      ['of the store in IPv6', at('::ffff:7f00:1', 6543), 'belongs to the store itself'],
    ])('%s', async (_, changes, reason) => {
      const answer = await register(changes);
      expect({ status: answer.status, reason: answer.json?.message }).toEqual({
        status: 403,
        reason: expect.stringContaining(reason),
      });
      expect(await hellos()).toEqual([]);
    });

    it('of the registry, a service, the broker and the database', async () => {
      const database = (await api.registry.query<{ port: number }>('SELECT inet_server_port() AS port'))[0]!
        .port;
      const ports = [api.registry.url, api.greeter.url, api.registry.broker.url].map((url) =>
        Number(new URL(url).port),
      );
      for (const port of [...ports, database]) {
        const { status, json } = await register(at('localhost', port));
        expect({ status, message: json?.message }).toEqual({
          status: 403,
          message: expect.stringContaining('belongs to the store itself'),
        });
      }
    });

    it('in a loopback network that is not listed explicitly', async () => {
      await grant('open', { networks: ['0.0.0.0/0', '::/0'] });
      for (const address of ['127.0.0.1', '::1', 'localhost', '::ffff:7f00:1', '2130706433']) {
        const body = registration({ app: 'OPEN', metadata: {}, ...at(address) });
        const { status, json } = await eureka('POST', '/apps/OPEN', { body });
        expect({ address, status, message: json?.message }).toEqual({
          address,
          status: 403,
          message: expect.stringContaining('loopback explicitly'),
        });
      }
      await api.registry.ask(RemoveRegistration, { app: 'open' }, operator);
    });

    it('if its name cannot be resolved', async () => {
      expect(await register(at('nowhere.invalid'))).toMatchObject({ status: 400 });
    });
  });

  it('protects the routes of a service of the store that has no instances', async () => {
    await api.greeter.stop();
    await api.registry.restart();
    const claim = { metadata: { routes: 'GET /v1/greetings/{who}', access: 'public' } };
    expect((await register(claim)).status).toBe(409);
    api.greeter = await start(GreeterModule, {
      environment: { RABBITMQ_URL: api.registry.broker.url, LOG_LEVEL: 'error', ANNOUNCE_EVERY: '5' },
    });
  });

  it('rejects changes to instances of the store', async () => {
    const [own] = (await instances()).filter(({ service }) => service === 'greeter');
    for (const [authorization, status] of [
      [toBasic('hello'), 403],
      [toBasic('greeter'), 401],
    ] as const) {
      for (const [method, end] of [
        ['DELETE', ''],
        ['PUT', '/status?value=DOWN'],
      ] as const) {
        const path = `/apps/GREETER/${own!.instance}${end}`;
        expect((await eureka(method, path, { authorization })).status).toBe(status);
      }
    }
  });
}
