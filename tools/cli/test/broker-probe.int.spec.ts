import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, expect, it } from '@jest/globals';
import { probeBroker } from '../src/backing/rabbitmq/broker-probe.ts';

const broker = process.env.TEST_RABBITMQ_URL!;
const change = (changes: Partial<URL>) => Object.assign(new URL(broker), changes).href;

it('succeeds with a valid login', async () => expect(await probeBroker(broker)).toBeUndefined());

it.each([
  ['a wrong password', change({ password: 'wrong' }), /^ACCESS_REFUSED - Login was refused/],
  ['an unknown virtual host', change({ pathname: '/nowhere' }), /^the virtual host nowhere does not exist/],
  ['another scheme', 'http://127.0.0.1', /not amqp:\/\//],
  ['no URL', 'nonsense', /not a URL/],
  ['a closed port', 'amqp://127.0.0.1:1', /ECONNREFUSED/],
  ['a missing certificate file', change({ search: '?cacertfile=/nowhere' }), /ENOENT.*nowhere/],
])('explains %s', async (_what, url, reason) => {
  expect(await probeBroker(url)).toMatch(reason);
});

let server: Server | undefined;
const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  server?.close();
});

it.each([
  ['is silent', () => undefined, /^127.0.0.1:\d+ does not answer$/],
  ['closes the connection', (socket: Socket) => socket.end(), /^127.0.0.1:\d+ closed the connection$/],
  [
    'speaks HTTP',
    (socket: Socket) => socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
    /^127.0.0.1:\d+ does not support AMQP 0-9-1$/,
  ],
])('explains a server that %s', async (_what, answer, reason) => {
  server = createServer((socket) => {
    sockets.push(socket.on('error', () => undefined));
    answer(socket);
  });
  await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  expect(await probeBroker(`amqp://127.0.0.1:${port}`, 500)).toMatch(reason);
});
