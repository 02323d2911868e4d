import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { RunningService } from '@jogakbo/service';
import { eventually } from '@jogakbo/testing';
import { Agent, request } from 'undici';
import { demoState } from './demo.ts';
import { GatewayUnderTest } from './gateway-under-test.ts';

describe('gateway shutdown', () => {
  const gateway = new GatewayUnderTest();
  let other: RunningService;
  beforeAll(async () => {
    await gateway.start({ DRAIN_DELAY: '0.5', REQUEST_TIMEOUT: '5000' });
    other = await gateway.service.startAnother();
    await eventually(async () => (await fetch(`${other.url}/health/ready`)).status === 200);
  });
  afterAll(() => gateway.stop());

  it('fails readiness first, completes open requests and closes all connections', async () => {
    const agent = new Agent({ connections: 1 });
    const { port } = new URL(other.url);
    // Idle connections and incomplete requests do not delay the shutdown.
    const idle = connect(Number(port), '127.0.0.1').on('error', () => {});
    const incomplete = connect(Number(port), '127.0.0.1', () => incomplete.write('GET /v1')).on(
      'error',
      () => {},
    );
    const before = demoState.slowCalls;
    const token = gateway.member;
    const slow = request(`${other.url}/v1/slow`, {
      dispatcher: agent,
      method: 'POST',
      body: '{"takes":1500}',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    });
    const waiting = fetch(`${other.url}/v1/jobs`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
        'idempotency-key': 'drain',
        prefer: 'wait=30',
      },
      body: JSON.stringify({ lines: [{ quantity: 1 }] }),
    });
    await eventually(() => demoState.slowCalls === before + 1);
    await eventually(() => demoState.begun.some(({ key }) => key === 'drain'));

    const startedAt = performance.now();
    const stopped = other.stop();
    await eventually(async () => (await fetch(`${other.url}/health/ready`)).status === 503, 400);
    await eventually(async () => {
      const meanwhile = await fetch(`${other.url}/v1/things`);
      return meanwhile.status === 200 && meanwhile.headers.get('connection') === 'close';
    }, 1_000);
    await sleep(250);
    expect((await fetch(`${other.url}/v1/things`)).status).toBe(200);
    const answer = await slow;
    expect(answer.statusCode).toBe(200);
    expect(answer.headers['connection']).toBe('close');
    expect(await answer.body.json()).toEqual({ done: true });
    await expect(fetch(`${other.url}/v1/things`)).rejects.toThrow();
    const begun = await waiting;
    expect(begun.status).toBe(202);
    await stopped;
    expect(performance.now() - startedAt).toBeLessThan(6_000);
    await agent.close();
    idle.destroy();
    incomplete.destroy();
  });
});
