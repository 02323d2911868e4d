import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Revocation } from '@jogakbo/contracts-identity';
import type { RunningService } from '@jogakbo/service';
import { eventually } from '@jogakbo/testing';
import { GatewayUnderTest, expectProblem } from './gateway-under-test.ts';
import { toRevocation } from './stubbed-identity.ts';

describe('revoked access tokens', () => {
  const gateway = new GatewayUnderTest();
  let second: RunningService;
  beforeAll(async () => {
    await gateway.open();
    second = await gateway.service.startAnother();
    await eventually(async () => (await fetch(`${second.url}/health/ready`)).status === 200);
  });
  afterAll(async () => {
    await second?.stop();
    await gateway.close();
  });

  const urls = () => [gateway.service.url, second.url];
  /** The statuses of a member's route and of a public one, at both gateways. */
  const statuses = (token: string): Promise<number[]> =>
    Promise.all(
      urls().flatMap((url) =>
        ['/v1/me', '/v1/things'].map(
          async (path) => (await fetch(url + path, { headers: { authorization: `Bearer ${token}` } })).status,
        ),
      ),
    );
  const allowed = [200, 200, 200, 200];
  const refused = [401, 401, 401, 401];

  /** Revokes, and returns after how many milliseconds a token is refused by both gateways on both routes. */
  async function timeUntilRefused(token: string, which: Partial<Revocation>): Promise<number> {
    const revokedAt = performance.now();
    await gateway.identity.revoke(which);
    await eventually(async () => String(await statuses(token)) === String(refused));
    return performance.now() - revokedAt;
  }

  it('of a session that ended are refused at every gateway within a second, although they were seen before', async () => {
    const [sessionId, memberId] = [randomUUID(), randomUUID()];
    const token = await gateway.key.sign({ sub: memberId, sid: sessionId });
    const elsewhere = await gateway.key.sign({ sub: memberId, sid: randomUUID() });
    expect(await statuses(token)).toEqual(allowed);
    expect(await timeUntilRefused(token, { memberId, sessionId })).toBeLessThan(1_000);
    expect(await statuses(elsewhere)).toEqual(allowed);
    expectProblem(await gateway.call('/v1/me', { token }), 401, 'unauthenticated');
  });

  it('of an earlier generation of a member are refused, in whichever order the revocations come', async () => {
    const memberId = randomUUID();
    const sign = (gen?: number) => gateway.key.sign({ sub: memberId, sid: randomUUID(), gen });
    const [oldest, first, second, third] = [await sign(), await sign(1), await sign(2), await sign(3)];
    expect(await timeUntilRefused(first, { memberId, generation: 2 })).toBeLessThan(1_000);
    expect(await statuses(oldest)).toEqual(refused);
    expect(await statuses(second)).toEqual(allowed);
    expect(await timeUntilRefused(second, { memberId, generation: 3 })).toBeLessThan(1_000);
    await gateway.identity.revoke({ memberId, generation: 1 });
    const other = randomUUID();
    await timeUntilRefused(await gateway.key.sign({ sub: other, gen: 0 }), { memberId: other, generation: 1 });
    expect(await statuses(second)).toEqual(refused);
    expect(await statuses(third)).toEqual(allowed);
  });

  it('are refused by a gateway that was not there when they were revoked', async () => {
    const sessionId = randomUUID();
    const token = await gateway.key.sign({ sub: randomUUID(), sid: sessionId });
    gateway.identity.listed.unshift(toRevocation({ sessionId }));
    expect(await statuses(token)).toEqual(allowed);
    const third = await gateway.service.startAnother();
    try {
      const call = (path: string) =>
        fetch(third.url + path, { headers: { authorization: `Bearer ${token}` } });
      await eventually(async () => (await fetch(`${third.url}/health/ready`)).status === 200);
      expect((await call('/v1/me')).status).toBe(401);
    } finally {
      await third.stop();
    }
  });

  it('are asked for again after the broker was lost', async () => {
    const sessionId = randomUUID();
    const token = await gateway.key.sign({ sub: randomUUID(), sid: sessionId });
    gateway.identity.listed.unshift(toRevocation({ sessionId }));
    expect(await statuses(token)).toEqual(allowed);
    let cutAt = -Infinity;
    await eventually(async () => {
      // The broker lists a connection some seconds late: what was not cut now is cut the next time.
      if (performance.now() - cutAt > 6_000) {
        await gateway.service.broker.cutConnections();
        cutAt = performance.now();
      }
      return String(await statuses(token)) === String(refused);
    }, 40_000);
  }, 60_000);
});

describe('a gateway that does not know which access tokens are revoked', () => {
  const gateway = new GatewayUnderTest();
  beforeAll(() => gateway.open({}, { withoutIdentity: true }));
  afterAll(() => gateway.close());

  it('answers requests with a token 503, and others as always, until identity tells it', async () => {
    const anonymous = await gateway.call('/v1/things');
    expect(anonymous.status).toBe(200);
    for (const path of ['/v1/me', '/v1/things'])
      expectProblem(await gateway.call(path, { token: gateway.member }), 503, 'unavailable');
    expect((await gateway.call('/health/ready')).body.error.tokens.reason).toMatch(/revoked/);
    await gateway.stubIdentity();
    await eventually(async () => (await gateway.call('/v1/me', { token: gateway.member })).status === 200);
    expect((await gateway.call('/health/ready')).status).toBe(200);
  });
});
