import { expect, it } from '@jest/globals';
import { eventually } from '@jogakbo/testing';
import { toBasic, type EurekaUnderTest } from './eureka-under-test.ts';

export function testOperations(api: EurekaUnderTest): void {
  const { eureka, hellos, register, registration } = api;

  it('accepts an empty body with a content type', async () => {
    await register();
    const headers = { authorization: toBasic('hello'), 'content-type': 'application/json' };
    const renewed = await fetch(`${api.registry.url}/eureka/apps/HELLO/hello-1`, { method: 'PUT', headers });
    expect(renewed.status).toBe(200);
  });

  it('takes an instance out of service, and back into service', async () => {
    await register();
    const status = async () => (await eureka('GET', '/apps/HELLO/hello-1')).json.instance.status;
    expect((await eureka('PUT', '/apps/HELLO/hello-1/status?value=OUT_OF_SERVICE')).status).toBe(200);
    expect(await status()).toBe('OUT_OF_SERVICE');
    expect(await hellos()).toMatchObject([{ state: 'out' }]);
    // The status set by an operator survives renewals and another registration.
    expect((await eureka('PUT', '/apps/HELLO/hello-1?status=UP')).status).toBe(200);
    expect((await register()).status).toBe(204);
    expect(await status()).toBe('OUT_OF_SERVICE');
    expect((await eureka('DELETE', '/apps/HELLO/hello-1/status')).status).toBe(200);
    expect(await hellos()).toMatchObject([{ state: 'up' }]);
    // Without it, the status of the instance applies.
    await eureka('PUT', '/apps/HELLO/hello-1?status=DOWN');
    expect(await status()).toBe('DOWN');
    expect(await hellos()).toMatchObject([{ state: 'out' }]);
    expect((await eureka('PUT', '/apps/HELLO/hello-1/status?value=SOMEHOW')).status).toBe(400);
  });

  it('changes the metadata and routes of an instance', async () => {
    await register();
    const path = '/apps/HELLO/hello-1/metadata';
    expect((await eureka('PUT', `${path}?weight=3&routes=${encodeURIComponent('GET /v1/hi')}`)).status).toBe(
      200,
    );
    const { metadata } = (await eureka('GET', '/apps/HELLO/hello-1')).json.instance;
    expect(metadata).toEqual({ routes: 'GET /v1/hi', access: 'public', version: '7', weight: '3' });
    await eventually(async () =>
      (await (await fetch(`${api.registry.url}/contracts/hello/7`)).text()).includes('"/v1/hi"'),
    );
    for (const [query, status] of [
      ['routes=hello', 400],
      [`routes=${encodeURIComponent('GET /v1/greetings/{who}')}`, 409],
      ['no%20name=1', 400],
    ] as const) {
      expect({ query, status: (await eureka('PUT', `${path}?${query}`)).status }).toEqual({ query, status });
    }
    expect((await eureka('PUT', '/apps/HELLO/hello-9/metadata?a=b')).status).toBe(404);
    expect((await eureka('PUT', `${path}?a=b`, { authorization: '' })).status).toBe(401);
    expect((await eureka('GET', '/apps/HELLO/hello-1')).json.instance.metadata).toEqual(metadata);
  });

  it('finds instances by application, id and VIP address', async () => {
    await register({ secureVipAddress: 'hello-safe' });
    const { applications } = (await eureka('GET', '/apps')).json;
    expect(applications.application.map(({ name }: { name: string }) => name)).toEqual([
      'GREETER',
      'HELLO',
      'REGISTRY',
    ]);
    expect(applications.apps__hashcode).toBe('UP_3_');
    expect((await eureka('GET', '/apps/hello')).json.application.instance).toHaveLength(1);
    expect((await eureka('GET', '/v2/apps/')).json.applications.application).toHaveLength(3);
    expect((await eureka('GET', '/instances/hello-1')).json.instance).toMatchObject({
      app: 'HELLO',
      hostName: 'localhost',
      port: { $: 8080, '@enabled': 'true' },
      actionType: 'ADDED',
      metadata: { routes: 'GET /v1/hello; GET /v1/hello/{name}' },
    });
    for (const path of ['/vips/hello', '/svips/hello-safe']) {
      expect((await eureka('GET', path)).json.applications.application).toMatchObject([{ name: 'HELLO' }]);
    }
    expect((await eureka('GET', '/vips/unknown')).json.applications.application).toEqual([]);
  });

  it('lists recent changes', async () => {
    const changes = async () => {
      const { applications } = (await eureka('GET', '/apps/delta')).json;
      expect(applications.apps__hashcode).toBe(
        (await eureka('GET', '/apps')).json.applications.apps__hashcode,
      );
      const hello = applications.application.find(({ name }: { name: string }) => name === 'DELTA');
      return hello?.instance.map(({ actionType }: { actionType: string }) => actionType);
    };
    const body = registration({ app: 'DELTA', metadata: {} });
    expect(await changes()).toBeUndefined();
    await eureka('POST', '/apps/DELTA', { body });
    expect(await changes()).toEqual(['ADDED']);
    await eureka('PUT', '/apps/DELTA/hello-1/status?value=DOWN');
    await eureka('DELETE', '/apps/DELTA/hello-1');
    expect(await changes()).toEqual(['ADDED', 'MODIFIED', 'DELETED']);
  });
}
