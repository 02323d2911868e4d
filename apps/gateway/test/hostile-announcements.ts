import { randomUUID } from 'node:crypto';
import { service } from '@jogakbo/contract';
import { eventually } from '@jogakbo/testing';
import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import type { GatewayUnderTest } from './gateway-under-test.ts';

const Announced = service('instances').event('announced', z.any());

const nest = (depth: number): object =>
  depth === 0 ? {} : { type: 'object', properties: { a: nest(depth - 1) } };

/** What a service may announce of itself in order to stop the gateway, or to freeze what it knows of others. */
export const hostileAnnouncements = (gateway: GatewayUnderTest) =>
  describe('an announcement that no contract could make', () => {
    const request = (name: string, path: string, more: object = {}, http: object = {}) => ({
      ...{ name, kind: 'query', description: '', input: { type: 'object' }, output: { type: 'object' } },
      ...{ rejections: {}, idempotency: 'none', access: 'public' },
      http: { method: 'GET', path, parameters: [], status: 200, ...http },
      ...more,
    });
    const announce = (name: string, requests: object[], more: object = {}) =>
      gateway.service.announce(
        Announced({
          ...{ service: name, version: '1', instance: `${name}-${randomUUID().slice(-12)}`, state: 'up' },
          ...{ url: 'http://127.0.0.1:9', startedAt: new Date().toISOString(), interval: 0.1 },
          contract: { service: name, description: '', requests, events: [] },
          ...more,
        }),
      );
    const document = async (path: string): Promise<number> => (await gateway.call(path)).status;

    it.each<[string, object, object]>([
      ['a list of required fields that is none', { output: { required: 5 } }, { fallback: { answer: {} } }],
      ['fields that are none', { input: { properties: 'x' } }, {}],
      ['a schema within a schema that is none', { output: { properties: { a: { items: 5 } } } }, {}],
      ['a deep schema', { output: nest(40) }, {}],
      ['a very deep schema', { output: nest(2_000) }, {}],
      ['a deep answer', {}, { fallback: { answer: { a: nest(40) } } }],
      ['a status that is none', {}, { status: 101 }],
      ['a rejection with a status that is none', { rejections: { no: 101 } }, {}],
    ])('costs the others nothing: %s', async (what, more, http) => {
      const [evil, good] = [`evil${randomUUID().slice(-12)}`, `good${randomUUID().slice(-12)}`];
      await announce(evil, [request(`${evil}.get`, `/v1/${evil}`, more, http)]);
      // It falls silent at once: the gateway notices by its clock, and builds its table anew.
      await announce(evil, []);
      await announce(good, [request(`${good}.get`, `/v1/${good}`)]);
      await eventually(async () => (await gateway.call(`/v1/${good}`)).status === 503);
      expect((await gateway.call(`/v1/${evil}`)).status).toBe(404);
      expect([await document('/openapi.json'), await document('/asyncapi.json'), what]).toEqual([
        200,
        200,
        what,
      ]);
    });
  });
