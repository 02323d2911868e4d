import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { Links } from './links.ts';

describe('the links of a store', () => {
  let echo: Server;
  let links: Links;
  let ports: Record<string, Record<string, number>>;

  beforeEach(async () => {
    echo = createServer((socket) => socket.on('error', () => undefined).pipe(socket));
    echo.listen(0, '127.0.0.1');
    await once(echo, 'listening');
    links = new Links(() => (echo.address() as { port: number }).port);
    ports = JSON.parse((await links.open(['orders', 'payments'])).CHAOS_PORTS!) as typeof ports;
  });
  afterEach(async () => {
    await links.close();
    await new Promise((resolve) => echo.close(resolve));
  });

  async function dial(service: string, peer: string): Promise<Socket> {
    const socket = connect(ports[service]![peer]!, '127.0.0.1').on('error', () => undefined);
    await once(socket, 'connect');
    return socket;
  }
  async function say(socket: Socket, text: string): Promise<string> {
    socket.write(text);
    return String(((await once(socket, 'data')) as [Buffer])[0]);
  }
  const failure = async (socket: Socket) => ((await once(socket, 'error')) as [{ code: string }])[0].code;

  it('pass on what is said, and the end of it', async () => {
    const socket = await dial('orders', 'RABBITMQ_URL');
    expect(await say(socket, 'hello')).toBe('hello');
    socket.end();
    await once(socket, 'close');
  });

  it('are slow for a while, and keep the order', async () => {
    const socket = await dial('orders', 'RABBITMQ_URL');
    const slow = links.slow(50, pause(300));
    const before = performance.now();
    socket.write('a');
    setTimeout(() => socket.write('b'), 10);
    let heard = await say(socket, '');
    expect(performance.now() - before).toBeGreaterThan(95);
    // On a busy machine both may come at once.
    while (heard.length < 2) heard += String(((await once(socket, 'data')) as [Buffer])[0]);
    expect(heard).toBe('ab');
    await slow;
    const after = performance.now();
    await say(socket, 'c');
    expect(performance.now() - after).toBeLessThan(95);
  });

  it('are cut', async () => {
    const sockets = await Promise.all([dial('orders', 'RABBITMQ_URL'), dial('payments', 'DATABASE_URL')]);
    await Promise.all(sockets.map((socket) => say(socket, 'hello')));
    const failures = Promise.all(sockets.map(failure));
    expect(links.cut()).toBe(2);
    expect(await failures).toEqual(['ECONNRESET', 'ECONNRESET']);
  });

  it('swallow what one service says to one peer, and reset what lost something', async () => {
    const deaf = await dial('orders', 'DATABASE_URL');
    const others = await Promise.all([dial('orders', 'RABBITMQ_URL'), dial('payments', 'DATABASE_URL')]);
    let heard = 0;
    deaf.on('data', () => (heard += 1));
    const failed = failure(deaf);
    const swallowed = links.swallow('orders', 'DATABASE_URL', pause(200));
    deaf.write('hello');
    for (const other of others) expect(await say(other, 'hello')).toBe('hello');
    expect(deaf.destroyed).toBe(false);
    expect(await swallowed).toBe(5);
    expect(await failed).toBe('ECONNRESET');
    expect(heard).toBe(0);
    expect(await say(await dial('orders', 'DATABASE_URL'), 'again')).toBe('again');
  });
});
