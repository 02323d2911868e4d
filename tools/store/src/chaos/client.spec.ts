import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { devNull } from 'node:os';
import { Client } from './client.ts';
import { ClientLog } from '@jogakbo/chaos/src/client-log.ts';

let server: Server;
let issued = 0;

beforeAll(async () => {
  // Like the gateway, it rejects an invalid token even on public routes.
  server = createServer(({ headers: { authorization }, url }, response) => {
    const respond = (status: number, body: unknown) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    if (authorization && authorization !== `Bearer ${issued}`) respond(401, { code: 'unauthenticated' });
    else if (url === '/v1/sessions') respond(201, { accessToken: String((issued += 1)) });
    else respond(200, { memberId: 'member-1' });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(() => new Promise((resolve) => server.close(resolve)));

it('signs in again when its token has expired, and repeats the request', async () => {
  const url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
  const login = { email: 'member@example.com', password: 'password' };
  const client = new Client(url, new ClientLog(devNull), login, AbortSignal.timeout(2_000));
  await client.signIn();
  issued += 1;
  const answer = await client.requestUntilAnswered(
    { what: 'read-orders' },
    { method: 'GET', path: '/v1/orders' },
  );
  expect(answer?.status).toBe(200);
});
