import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { readWorkspaceConfig } from '@jogakbo/contract/workspace';
import { smoke } from '../src/commands/smoke.ts';
import { root } from '../src/workspace.ts';

// A server that answers like a gateway: a store that fails in each of these ways cannot be made at will.
const { readyRoutes } = await readWorkspaceConfig(root);
const operation = (access: string, required = false) => ({
  ...{ 'x-access': access, parameters: [{ in: 'query', name: 'q', required }] },
});
const paths: Record<string, Record<string, object>> = {
  ...Object.fromEntries(
    readyRoutes.map((route) => [
      route.split(' ')[1]!,
      { [route.split(' ')[0]!.toLowerCase()]: operation('member') },
    ]),
  ),
  '/v1/teas': { get: operation('public') },
  '/v1/teas/{teaId}': { get: operation('public') },
  '/v1/search': { get: operation('public', true) },
  '/v1/brews': { get: operation('member') },
};
let statuses: Record<string, number>;
let document: unknown;
let asked: string[];
let server: Server;
const printed: string[] = [];

beforeEach(async () => {
  [statuses, document, asked] = [{}, { paths }, []];
  printed.length = 0;
  for (const method of ['log', 'error'] as const)
    jest.spyOn(console, method).mockImplementation((text: string) => void printed.push(text));
  server = createServer(({ url = '' }, response) => {
    asked.push(url);
    response.writeHead(statuses[url] ?? 200).end(url === '/openapi.json' ? JSON.stringify(document) : 'text');
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
});
afterEach(async () => {
  jest.restoreAllMocks();
  server.close();
});

const run = () => smoke({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` });

describe('the smoke test', () => {
  it('reads what everybody may read without an input, and nothing else', async () => {
    expect(await run()).toBe(0);
    expect(asked).toEqual(['/health/ready', '/openapi.json', '/v1/teas']);
  });

  it('accepts answers that are no faults', async () => {
    statuses['/v1/teas'] = 429;
    expect(await run()).toBe(0);
  });

  it.each([
    ['is not ready', '/health/ready', 503],
    ['has no API document', '/openapi.json', 404],
    ['answers a public read with a fault', '/v1/teas', 500],
  ])('fails for a store that %s', async (_what, path, status) => {
    statuses[path] = status;
    expect(await run()).toBe(1);
    expect(printed.join('\n')).toContain(`FAIL  GET ${path}  ${status}`);
  });

  it('fails for a store without a ready route', async () => {
    document = { paths: {} };
    expect(await run()).toBe(readyRoutes.length > 0 ? 1 : 0);
    for (const route of readyRoutes) expect(printed.join('\n')).toContain(`FAIL  ${route} is a ready route`);
  });

  it('fails for a store that does not answer', async () => {
    expect(await smoke({ url: 'http://127.0.0.1:9' })).toBe(1);
  });
});
