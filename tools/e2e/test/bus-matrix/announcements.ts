import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { BrokerConnection, Instances, Publisher } from '@jogakbo/messaging';
import { exchanges, instanceEvents } from '@jogakbo/messaging/topology';
import { type AsLogin } from './as-login.ts';
import { until } from '../../src/jogakbo.ts';

interface Suite {
  names: readonly string[];
  url(service: string): string;
  login(service: string): AsLogin;
}

type Announcement = Record<string, unknown>;

const buildAnnouncement = (
  service: string,
  more: Announcement = {},
  contract: Announcement = {},
): Announcement => ({
  ...{ service, version: '1', instance: `${service}-1`, state: 'up', url: 'http://127.0.0.1:9' },
  ...{ startedAt: new Date().toISOString(), interval: 60, madeQueues: [] },
  contract: { service, description: '', requests: [], events: [], ...contract },
  ...more,
});
const buildRequest = (name: string) => ({
  ...{ name, kind: 'query', description: '', input: {}, output: null, rejections: {}, idempotency: 'none' },
});

/** Announcements with which a login would impersonate another service, or end it. */
const buildForgeries = (own: string, victim: string): Record<string, Announcement> => ({
  'an instance of another service': buildAnnouncement(victim),
  'the end of another service': buildAnnouncement(victim, { state: 'draining' }),
  'an instance of another service as its own': buildAnnouncement(own, { instance: `${victim}-1` }),
  'the contract of another service': buildAnnouncement(own, { instance: `${own}-2` }, { service: victim }),
  'a contract whose name starts like another': buildAnnouncement(
    ...[own, { instance: `${own}-3` }, { service: `${victim}@evil` }],
  ),
  'a service whose name starts like another': buildAnnouncement(
    `${victim}@evil`,
    {},
    { service: `${victim}@evil` },
  ),
  'a service whose name starts like its own': buildAnnouncement(
    `${own}@evil`,
    {},
    { service: `${own}@evil` },
  ),
  'a request of another service': buildAnnouncement(
    ...[own, { instance: `${own}-4` }, { requests: [buildRequest(`${victim}.get-jwks`)] }],
  ),
  'an event of another service': buildAnnouncement(
    own,
    { instance: `${own}-5` },
    { events: [{ name: `${victim}.happened`, description: '', data: {} }] },
  ),
  'an app with HTTP as its upstream': buildAnnouncement('hello', {
    instance: 'eureka:HELLO:1',
    upstream: 'http',
  }),
  'another service as an app': buildAnnouncement(victim, { instance: 'eureka:X:1', upstream: 'http' }),
});

/** Every login publishes forged announcements, at a broker with the permissions of the real deploy step. */
export const announcements = ({ names, url, login }: Suite) =>
  describe('announcements of each login about other services', () => {
    let connection: BrokerConnection;
    let instances: Instances;
    let rejectedCount = 0;

    beforeAll(async () => {
      connection = await new BrokerConnection({ operator: 'jogakbo' }).open(url('gateway'), 'listens');
      connection.onRefusedMessage(() => (rejectedCount += 1));
      const publisher = new Publisher(connection);
      await publisher.open();
      instances = new Instances(connection, publisher, 'gateway', undefined, 'routes');
      await instances.open();
      for (const name of names) await announce(name, buildAnnouncement(name, { instance: `${name}-0` }));
      await until(async () => instances.present.length === names.length);
    });
    afterAll(async () => {
      await instances?.close();
      await connection?.close();
    });

    const announce = (name: string, data: Announcement) =>
      login(name).try(async (channel) => {
        const event = instanceEvents.announced;
        const body = Buffer.from(JSON.stringify({ pattern: event, data }));
        channel.publish(exchanges.events(event), event, body, { messageId: randomUUID(), userId: name });
        await channel.waitForConfirms();
      });

    it.each(names.filter((name) => name !== 'registry'))('%s can announce itself only', async (name) => {
      const before = rejectedCount;
      const wrong: string[] = [];
      for (const victim of names.filter((other) => other !== name)) {
        for (const [forgery, data] of Object.entries(buildForgeries(name, victim)))
          if ((await announce(name, data)) !== 'allowed') wrong.push(`${name} could not publish ${forgery}`);
      }
      await announce(name, buildAnnouncement(name, { instance: `${name}-last` }));
      await until(async () => instances.present.some(({ instance }) => instance === `${name}-last`));
      await announce(name, buildAnnouncement(name, { instance: `${name}-last`, state: 'draining' }));
      await until(async () => instances.present.every(({ instance }) => instance !== `${name}-last`));
      expect(instances.present.map(({ instance }) => instance).sort()).toEqual(
        names.map((one) => `${one}-0`).sort(),
      );
      expect(rejectedCount).toBeGreaterThan(before);
      expect(wrong).toEqual([]);
    });

    it('registry can announce apps that are not on the bus, and no service', async () => {
      for (const victim of names.filter((other) => other !== 'registry')) {
        for (const data of Object.values(buildForgeries('registry', victim)))
          if (data['upstream'] !== 'http') await announce('registry', data);
        await announce('registry', buildAnnouncement(victim, { upstream: 'http', instance: `${victim}-0` }));
        await announce(
          'registry',
          buildAnnouncement(victim, { upstream: 'http', instance: `${victim}-0`, state: 'draining' }),
        );
      }
      await announce(
        'registry',
        buildAnnouncement('hello', { instance: 'eureka:HELLO:1', upstream: 'http' }),
      );
      await until(async () => instances.present.some(({ service }) => service === 'hello'));
      expect(
        instances.alive
          .filter(({ upstream }) => !upstream)
          .map(({ instance }) => instance)
          .sort(),
      ).toEqual(names.map((one) => `${one}-0`).sort());
    });
  });
