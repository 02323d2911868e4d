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
    await gateway.start();
    second = await gateway.service.startAnother();
    await eventually(async () => (await fetch(`${second.url}/health/ready`)).status === 200);
  });
  afterAll(async () => {
    await second?.stop();
    await gateway.stop();
  });

  const urls = () => [gateway.service.url, second.url];
  /** Calls a member route and a public route at both gateways, and returns the statuses. */
  const getStatuses = (token: string): Promise<number[]> =>
    Promise.all(
      urls().flatMap((url) =>
        ['/v1/me', '/v1/things'].map(
          async (path) => (await fetch(url + path, { headers: { authorization: `Bearer ${token}` } })).status,
        ),
      ),
    );
  const allowed = [200, 200, 200, 200];
  const rejected = [401, 401, 401, 401];

  /** Revokes, and returns the milliseconds until both gateways reject the token on both routes. */
  async function measureRevocation(token: string, which: Partial<Revocation>): Promise<number> {
    const revokedAt = performance.now();
    await gateway.identity.revoke(which);
    await eventually(async () => String(await getStatuses(token)) === String(rejected));
    return performance.now() - revokedAt;
  }

  it('of an ended session are rejected at every gateway within a second, even if accepted before', async () => {
    const [sessionId, memberId] = [randomUUID(), randomUUID()];
    const token = await gateway.key.sign({ sub: memberId, sid: sessionId });
    const elsewhere = await gateway.key.sign({ sub: memberId, sid: randomUUID() });
    expect(await getStatuses(token)).toEqual(allowed);
    expect(await measureRevocation(token, { memberId, sessionId })).toBeLessThan(1_000);
    expect(await getStatuses(elsewhere)).toEqual(allowed);
    expectProblem(await gateway.call('/v1/me', { token }), 401, 'unauthenticated');
  });

  it('of an earlier generation of a member are rejected, in any order of revocations', async () => {
    const memberId = randomUUID();
    const sign = (gen?: number) => gateway.key.sign({ sub: memberId, sid: randomUUID(), gen });
    const [oldest, first, second, third] = [await sign(), await sign(1), await sign(2), await sign(3)];
    expect(await measureRevocation(first, { memberId, generation: 2 })).toBeLessThan(1_000);
    expect(await getStatuses(oldest)).toEqual(rejected);
    expect(await getStatuses(second)).toEqual(allowed);
    expect(await measureRevocation(second, { memberId, generation: 3 })).toBeLessThan(1_000);
    await gateway.identity.revoke({ memberId, generation: 1 });
    const other = randomUUID();
    await measureRevocation(await gateway.key.sign({ sub: other, gen: 0 }), {
      memberId: other,
      generation: 1,
    });
    expect(await getStatuses(second)).toEqual(rejected);
    expect(await getStatuses(third)).toEqual(allowed);
  });

  it('are rejected by a gateway that starts after the revocation', async () => {
    const sessionId = randomUUID();
    const token = await gateway.key.sign({ sub: randomUUID(), sid: sessionId });
    gateway.identity.listed.unshift(toRevocation({ sessionId }));
    expect(await getStatuses(token)).toEqual(allowed);
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

  it('are reloaded after the broker connection is lost', async () => {
    const sessionId = randomUUID();
    const token = await gateway.key.sign({ sub: randomUUID(), sid: sessionId });
    gateway.identity.listed.unshift(toRevocation({ sessionId }));
    expect(await getStatuses(token)).toEqual(allowed);
    let cutAt = -Infinity;
    await eventually(async () => {
      // The broker lists new connections seconds late. The next attempt closes those that this one missed.
      if (performance.now() - cutAt > 6_000) {
        await gateway.service.broker.cutConnections();
        cutAt = performance.now();
      }
      return String(await getStatuses(token)) === String(rejected);
    }, 40_000);
  }, 60_000);
});

describe('a gateway without the list of revoked access tokens', () => {
  const gateway = new GatewayUnderTest();
  beforeAll(() => gateway.start({}, { withoutIdentity: true }));
  afterAll(() => gateway.stop());

  it('returns 503 for requests with a token, and serves others, until identity provides the list', async () => {
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
