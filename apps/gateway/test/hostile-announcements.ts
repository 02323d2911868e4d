import { randomUUID } from 'node:crypto';
import { service } from '@jogakbo/contract';
import { eventually } from '@jogakbo/testing';
import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import type { GatewayUnderTest } from './gateway-under-test.ts';

const Announced = service('instances').event('announced', z.any());

const nestSchema = (depth: number): object =>
  depth === 0 ? {} : { type: 'object', properties: { a: nestSchema(depth - 1) } };

/** Announcements that try to stop the gateway, or to block updates of its route table. */
export const testHostileAnnouncements = (gateway: GatewayUnderTest) =>
  describe('an invalid announcement', () => {
    const createRequest = (name: string, path: string, more: object = {}, http: object = {}) => ({
      name,
      kind: 'query',
      description: '',
      input: { type: 'object' },
      output: { type: 'object' },
      rejections: {},
      idempotency: 'none',
      access: 'public',
      http: { method: 'GET', path, parameters: [], status: 200, ...http },
      ...more,
    });
    const announce = (name: string, requests: object[], more: object = {}) =>
      gateway.service.announce(
        Announced({
          service: name,
          version: '1',
          instance: `${name}-${randomUUID().slice(-12)}`,
          state: 'up',
          url: 'http://127.0.0.1:9',
          startedAt: new Date().toISOString(),
          interval: 0.1,
          contract: { service: name, description: '', requests, events: [] },
          ...more,
        }),
      );
    const getStatus = async (path: string): Promise<number> => (await gateway.call(path)).status;

    it.each<[string, object, object]>([
      ['required fields that are not a list', { output: { required: 5 } }, { fallback: { answer: {} } }],
      ['properties that are not an object', { input: { properties: 'x' } }, {}],
      ['a nested schema that is not a schema', { output: { properties: { a: { items: 5 } } } }, {}],
      ['a deep schema', { output: nestSchema(40) }, {}],
      ['a very deep schema', { output: nestSchema(2_000) }, {}],
      ['a deep fallback answer', {}, { fallback: { answer: { a: nestSchema(40) } } }],
      ['an invalid status', {}, { status: 101 }],
      ['a rejection with an invalid status', { rejections: { no: 101 } }, {}],
    ])('does not affect other services: %s', async (what, more, http) => {
      const [evil, good] = [`evil${randomUUID().slice(-12)}`, `good${randomUUID().slice(-12)}`];
      await announce(evil, [createRequest(`${evil}.get`, `/v1/${evil}`, more, http)]);
      // No more heartbeats follow. The gateway detects the timeout and rebuilds its route table.
      await announce(evil, []);
      await announce(good, [createRequest(`${good}.get`, `/v1/${good}`)]);
      await eventually(async () => (await gateway.call(`/v1/${good}`)).status === 503);
      expect((await gateway.call(`/v1/${evil}`)).status).toBe(404);
      expect([await getStatus('/openapi.json'), await getStatus('/asyncapi.json'), what]).toEqual([
        200,
        200,
        what,
      ]);
    });
  });
