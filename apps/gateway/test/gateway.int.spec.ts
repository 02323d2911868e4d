import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '@jogakbo/testing';
import { testAccess } from './access.ts';
import { testResponses } from './answers.ts';
import { testBadInput } from './bad-input.ts';
import { testDocuments } from './documents.ts';
import { GatewayUnderTest, expectProblem } from './gateway-under-test.ts';
import { testHostileAnnouncements } from './hostile-announcements.ts';
import { testHttpSyntax } from './http-syntax.ts';
import { testRoutes } from './routes.ts';
import { testWaiting } from './waiting.ts';

describe('gateway', () => {
  const gateway = new GatewayUnderTest();
  beforeAll(() => gateway.start());
  afterAll(() => gateway.stop());

  testResponses(gateway);
  testAccess(gateway);
  testBadInput(gateway);
  testHttpSyntax(gateway);
  testRoutes(gateway);
  testWaiting(gateway);
  testDocuments(gateway);
  testHostileAnnouncements(gateway);

  it('lists simulated dependencies of running services in every response', async () => {
    for (const path of ['/v1/things', '/v1/nothing', '/health/ready', '/openapi.json'])
      expect((await gateway.call(path)).headers.get('x-simulated')).toBe('demo-provider');
  });

  it('is not ready if a required route is missing', async () => {
    await gateway.stopDemo();
    await eventually(async () => !(await gateway.call('/health/live')).headers.has('x-simulated'));
    const answer = await gateway.call('/health/ready');
    expect(answer.status).toBe(503);
    expect(answer.body.error.routes.reason).toContain('POST /v1/jobs');
    expectProblem(await gateway.call('/v1/things'), 503, 'unavailable');
    await gateway.startDemo();
  });
});
