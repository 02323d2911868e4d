import { randomUUID } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { until } from '../../src/jogakbo.ts';
import { type TwoGateways } from './store-with-two-gateways.ts';

interface Report {
  instance: string;
  settings: { key: string; from?: string; origin: string }[];
}

/** For a busy machine. The target is a second; the test prints the time. */
const changeTimeoutMs = 5_000;

/**
 * Sets a value as an operator, and waits until it is in force in the given number of instances of each service.
 * @returns milliseconds from the response until the change is in force
 */
export async function setLive(
  { store }: TwoGateways,
  application: string,
  [key, value]: [string, string | null],
  instances: Record<string, number>,
): Promise<number> {
  const token = store.getToken('operator');
  const { status, body } = await store.call('POST', `/v1/ops/config/${application}/versions`, {
    ...{ token, headers: { 'idempotency-key': randomUUID() } },
    body: { reason: 'a test', settings: [{ key, value }] },
  });
  expect(status).toBe(201);
  const setAt = performance.now();
  const name = `version ${body.version} of ${application}/`;
  const isInForce = ({ settings }: Report) => {
    const setting = settings.find((one) => one.key === key);
    return value === null ? setting?.origin === 'default' : setting?.from?.startsWith(name);
  };
  await Promise.all(
    Object.entries(instances).map(([service, count]) =>
      until(async () => {
        const report = await store.call('GET', `/v1/ops/config/${service}/in-force`, { token });
        return (report.body?.instances ?? []).filter(isInForce).length === count;
      }, changeTimeoutMs),
    ),
  );
  return Math.round(performance.now() - setAt);
}

const allInstances = {
  ...{ catalog: 1, config: 1, gateway: 2, identity: 1, inventory: 1, notifications: 1, orders: 1 },
  ...{ payments: 1, registry: 1, search: 1 },
};

export const liveSettings = (gateways: TwoGateways) =>
  describe('a change at the config server', () => {
    it('is in force in every instance of every service within a second', async () => {
      const times: number[] = [];
      for (const value of ['debug', 'warn', null])
        times.push(await setLive(gateways, 'application', ['logLevel', value], allInstances));
      console.info(`a setting was in force in all instances after ${times.join(', ')} ms`);
    }, 60_000);

    it('of the call policies is in force within a second, too', async () => {
      const times: number[] = [];
      const policies = [{ search: { retries: 0 } }, { search: { retries: 1 }, catalog: { queue: 1_000 } }];
      for (const value of [...policies.map((policy) => JSON.stringify(policy)), null])
        times.push(await setLive(gateways, 'application', ['callPolicies', value], allInstances));
      console.info(`a policy was in force in all instances after ${times.join(', ')} ms`);
    }, 60_000);
  });
