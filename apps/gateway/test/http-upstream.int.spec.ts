import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { testLoadAndFailures } from './http-upstream/failures.ts';
import { testNetworks } from './http-upstream/networks.ts';
import { testRegistrations } from './http-upstream/registrations.ts';
import { testRequests } from './http-upstream/requests.ts';
import { testResponses } from './http-upstream/responses.ts';
import { UpstreamsUnderTest } from './http-upstream/upstreams-under-test.ts';

describe('services called over HTTP', () => {
  const upstreams = new UpstreamsUnderTest();
  const { announce, call, startHttpService } = upstreams;
  beforeAll(() => upstreams.start());
  afterEach(() => upstreams.removeHttpServices());
  afterAll(() => upstreams.stop());

  testRequests(upstreams);
  testResponses(upstreams);
  testLoadAndFailures(upstreams);
  testRegistrations(upstreams);
  testNetworks(upstreams);

  it('are in the OpenAPI document, and not in the AsyncAPI document', async () => {
    await announce(await startHttpService());
    expect((await call('/openapi.json')).body.paths['/v1/hello/{name}'].get).toMatchObject({
      tags: ['hello'],
    });
    expect(JSON.stringify((await call('/asyncapi.json')).body)).not.toContain('hello.');
  });
});
