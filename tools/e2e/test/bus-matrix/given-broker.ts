import { describe, expect, it } from '@jest/globals';
import { exchanges } from '@jogakbo/messaging/topology';
import { type BackingService } from '@jogakbo/cli/src/backing/backing-service.ts';
import { runDeployStep } from '@jogakbo/cli/src/backing/rabbitmq/deploy-step.ts';
import { findManagement } from '@jogakbo/cli/src/backing/rabbitmq/broker-management.ts';
import { type Secrets } from '@jogakbo/cli/src/supervisor/state.ts';
import { type App } from '@jogakbo/cli/src/workspace.ts';
import { AsLogin } from './as-login.ts';
import { platformEvents } from './declared-permissions.ts';

interface GivenBrokerOptions {
  apps: readonly App[];
  secrets: Pick<Secrets, 'brokerPasswords' | 'brokerAdministrator'>;
  broker: () => BackingService;
  login: (name: string) => AsLogin;
}

/** The broker as one that this store did not start, with logins of others. */
export function givenBroker({ apps, secrets, broker, login }: GivenBrokerOptions): void {
  const names = apps.map(({ name }) => name);

  it('treats a login that is not a service as such, with all permissions or with none', async () => {
    const management = (await findManagement(broker(), '')).management!;
    const { vhost } = management;
    for (const all of ['^$', '.*']) {
      const name = `foreign${all.length}`;
      const users = [{ name, password: 'not a service', tags: '' }];
      const permissions = [{ user: name, vhost, configure: all, write: all, read: all }];
      await management.define({ users, permissions });
      const url = Object.assign(new URL(broker().url), { username: name, password: 'not a service' }).href;
      const foreign = await AsLogin.open(url);
      for (const other of [...names, 'jogakbo'])
        expect(await foreign.publish(exchanges.events(platformEvents[0]!), platformEvents[0]!, other)).toBe(
          'refused',
        );
      for (const exchange of [...Object.values(exchanges).map((one) => one('orders')), '', 'amq.topic'])
        expect(await foreign.publish(exchange, 'anything')).toBe(all === '.*' ? 'allowed' : 'refused');
      await foreign.close();
    }
  });

  describe('a given broker', () => {
    const given = (managementUrl = broker().managementUrl) => ({
      kind: 'external',
      url: broker().url,
      managementUrl,
    });

    it('gives all services one login, and reports it, if its management API is unreachable', async () => {
      const { urls, brokerOperator, remark } = await runDeployStep(
        given('http://127.0.0.1:1'),
        apps,
        secrets,
        'test',
      );
      expect(new Set(Object.values(urls))).toEqual(new Set([broker().url]));
      expect(brokerOperator).toBeUndefined();
      expect(remark).toMatch(/^All services share .* RABBITMQ_MANAGEMENT_URL names another address\.$/);
      expect(remark).not.toContain(new URL(broker().url).password);
    });

    it('does not change the logins of another store', async () => {
      const { brokerOperator, remark } = await runDeployStep(given(), apps, secrets, 'another store');
      expect(brokerOperator).toBeUndefined();
      expect(remark).toContain('not of this store');
      expect(await login('orders').publish(exchanges.events(platformEvents[0]!), platformEvents[0]!)).toBe(
        'allowed',
      );
    });

    it('is prepared like a private broker if possible', async () => {
      const { urls, brokerOperator } = await runDeployStep(given(), apps, secrets, 'test');
      expect(brokerOperator).toBe(decodeURIComponent(new URL(broker().url).username));
      const orders = await AsLogin.open(urls.orders!);
      expect(await orders.publish(exchanges.events('catalog'), 'catalog.product-added')).toBe('refused');
      await orders.close();
    });
  });
}
