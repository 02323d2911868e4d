import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '@jogakbo/testing';
import { access } from './access.ts';
import { answers } from './answers.ts';
import { badInput } from './bad-input.ts';
import { documents } from './documents.ts';
import { GatewayUnderTest, expectProblem } from './gateway-under-test.ts';
import { hostileAnnouncements } from './hostile-announcements.ts';
import { httpSyntax } from './http-syntax.ts';
import { routes } from './routes.ts';
import { waiting } from './waiting.ts';

describe('gateway', () => {
  const gateway = new GatewayUnderTest();
  beforeAll(() => gateway.open());
  afterAll(() => gateway.close());

  answers(gateway);
  access(gateway);
  badInput(gateway);
  httpSyntax(gateway);
  routes(gateway);
  waiting(gateway);
  documents(gateway);
  hostileAnnouncements(gateway);

  it('names what services only simulate in every answer, as long as they run', async () => {
    for (const path of ['/v1/things', '/v1/nothing', '/health/ready', '/openapi.json'])
      expect((await gateway.call(path)).headers.get('x-simulated')).toBe('demo-provider');
  });

  it('is not ready when a route that it must have is gone', async () => {
    await gateway.stopDemo();
    await eventually(async () => !(await gateway.call('/health/live')).headers.has('x-simulated'));
    const answer = await gateway.call('/health/ready');
    expect(answer.status).toBe(503);
    expect(answer.body.error.routes.reason).toContain('POST /v1/jobs');
    expectProblem(await gateway.call('/v1/things'), 503, 'unavailable');
    await gateway.serveDemo();
  });
});
