import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { BrokerConnection, Instances, Publisher } from '@jogakbo/messaging';
import { exchanges, instanceEvents } from '@jogakbo/messaging/topology';
import { type AsLogin } from './as-login.ts';
import { until } from './jogakbo.ts';

interface Suite {
  names: readonly string[];
  url(service: string): string;
  login(service: string): AsLogin;
}

type Said = Record<string, unknown>;

const said = (service: string, more: Said = {}, contract: Said = {}): Said => ({
  ...{ service, version: '1', instance: `${service}-1`, state: 'up', url: 'http://127.0.0.1:9' },
  ...{ startedAt: new Date().toISOString(), interval: 60, madeQueues: [] },
  contract: { service, description: '', requests: [], events: [], ...contract },
  ...more,
});
const request = (name: string) => ({
  ...{ name, kind: 'query', description: '', input: {}, output: null, rejections: {}, idempotency: 'none' },
});

/** What a login may say of others in order to be asked in their place, to end them, or to be taken for them. */
const lies = (own: string, victim: string): Record<string, Said> => ({
  'an instance of another service': said(victim),
  'the end of another service': said(victim, { state: 'draining' }),
  'an instance that it calls its own': said(own, { instance: `${victim}-1` }),
  'the contract of another service': said(own, { instance: `${own}-2` }, { service: victim }),
  'a contract whose name begins like another': said(
    ...[own, { instance: `${own}-3` }, { service: `${victim}@evil` }],
  ),
  'a service whose name begins like another': said(`${victim}@evil`, {}, { service: `${victim}@evil` }),
  'a service whose name begins like its own': said(`${own}@evil`, {}, { service: `${own}@evil` }),
  'a request of another service': said(
    ...[own, { instance: `${own}-4` }, { requests: [request(`${victim}.get-jwks`)] }],
  ),
  'an event of another service': said(
    own,
    { instance: `${own}-5` },
    { events: [{ name: `${victim}.happened`, description: '', data: {} }] },
  ),
  'an app that is asked over HTTP': said('hello', { instance: 'eureka:HELLO:1', upstream: 'http' }),
  'another service as an app': said(victim, { instance: 'eureka:X:1', upstream: 'http' }),
});

/** Every login announces what is not its own, at a broker that has the permissions of the real deploy step. */
export const announcements = ({ names, url, login }: Suite) =>
  describe('what each login may say of others', () => {
    let connection: BrokerConnection;
    let instances: Instances;
    let refused = 0;

    beforeAll(async () => {
      connection = await new BrokerConnection({ operator: 'jogakbo' }).open(url('gateway'), 'listens');
      connection.onStranger(() => (refused += 1));
      const publisher = new Publisher(connection);
      await publisher.open();
      instances = new Instances(connection, publisher, 'gateway', undefined, 'routes');
      await instances.open();
      for (const name of names) await tell(name, said(name, { instance: `${name}-0` }));
      await until(async () => instances.present.length === names.length);
    });
    afterAll(async () => {
      await instances?.close();
      await connection?.close();
    });

    const tell = (name: string, data: Said) =>
      login(name).try(async (channel) => {
        const event = instanceEvents.announced;
        const body = Buffer.from(JSON.stringify({ pattern: event, data }));
        channel.publish(exchanges.events(event), event, body, { messageId: randomUUID(), userId: name });
        await channel.waitForConfirms();
      });

    it.each(names.filter((name) => name !== 'registry'))('%s speaks of itself alone', async (name) => {
      const before = refused;
      const wrong: string[] = [];
      for (const victim of names.filter((other) => other !== name)) {
        for (const [lie, data] of Object.entries(lies(name, victim)))
          if ((await tell(name, data)) !== 'allowed') wrong.push(`${name} could not even say ${lie}`);
      }
      await tell(name, said(name, { instance: `${name}-last` }));
      await until(async () => instances.present.some(({ instance }) => instance === `${name}-last`));
      await tell(name, said(name, { instance: `${name}-last`, state: 'draining' }));
      await until(async () => instances.present.every(({ instance }) => instance !== `${name}-last`));
      expect(instances.present.map(({ instance }) => instance).sort()).toEqual(
        names.map((one) => `${one}-0`).sort(),
      );
      expect(refused).toBeGreaterThan(before);
      expect(wrong).toEqual([]);
    });

    it('registry speaks for apps that are not on the bus, and for no service', async () => {
      for (const victim of names.filter((other) => other !== 'registry')) {
        for (const data of Object.values(lies('registry', victim)))
          if (data['upstream'] !== 'http') await tell('registry', data);
        await tell('registry', said(victim, { upstream: 'http', instance: `${victim}-0` }));
        await tell(
          'registry',
          said(victim, { upstream: 'http', instance: `${victim}-0`, state: 'draining' }),
        );
      }
      await tell('registry', said('hello', { instance: 'eureka:HELLO:1', upstream: 'http' }));
      await until(async () => instances.present.some(({ service }) => service === 'hello'));
      expect(
        instances.alive
          .filter(({ upstream }) => !upstream)
          .map(({ instance }) => instance)
          .sort(),
      ).toEqual(names.map((one) => `${one}-0`).sort());
    });
  });
