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
    ports = JSON.parse((await links.open(['shop', 'yard'])).CHAOS_PORTS!) as typeof ports;
  });
  afterEach(async () => {
    await links.close();
    await new Promise((resolve) => echo.close(resolve));
  });

  async function connectTo(service: string, peer: string): Promise<Socket> {
    const socket = connect(ports[service]![peer]!, '127.0.0.1').on('error', () => undefined);
    await once(socket, 'connect');
    return socket;
  }
  async function sendAndReceive(socket: Socket, text: string): Promise<string> {
    socket.write(text);
    return String(((await once(socket, 'data')) as [Buffer])[0]);
  }
  const waitForError = async (socket: Socket) =>
    ((await once(socket, 'error')) as [{ code: string }])[0].code;

  it('forward data and the end of a connection', async () => {
    const socket = await connectTo('shop', 'RABBITMQ_URL');
    expect(await sendAndReceive(socket, 'hello')).toBe('hello');
    socket.end();
    await once(socket, 'close');
  });

  it('add latency for a while, and keep the order', async () => {
    const socket = await connectTo('shop', 'RABBITMQ_URL');
    const delayed = links.delay(50, pause(300));
    const before = performance.now();
    socket.write('a');
    setTimeout(() => socket.write('b'), 10);
    let received = await sendAndReceive(socket, '');
    expect(performance.now() - before).toBeGreaterThan(95);
    // On a busy machine both may arrive in one chunk.
    while (received.length < 2) received += String(((await once(socket, 'data')) as [Buffer])[0]);
    expect(received).toBe('ab');
    await delayed;
    const after = performance.now();
    await sendAndReceive(socket, 'c');
    expect(performance.now() - after).toBeLessThan(95);
  });

  it('reset all connections', async () => {
    const sockets = await Promise.all([connectTo('shop', 'RABBITMQ_URL'), connectTo('yard', 'DATABASE_URL')]);
    await Promise.all(sockets.map((socket) => sendAndReceive(socket, 'hello')));
    const errors = Promise.all(sockets.map(waitForError));
    expect(links.resetAll()).toBe(2);
    expect(await errors).toEqual(['ECONNRESET', 'ECONNRESET']);
  });

  it('drop the data between one service and one peer, and reset the connections that lost data', async () => {
    const dropping = await connectTo('shop', 'DATABASE_URL');
    const others = await Promise.all([connectTo('shop', 'RABBITMQ_URL'), connectTo('yard', 'DATABASE_URL')]);
    let received = 0;
    dropping.on('data', () => (received += 1));
    const error = waitForError(dropping);
    const dropped = links.dropTraffic('shop', 'DATABASE_URL', pause(200));
    dropping.write('hello');
    for (const other of others) expect(await sendAndReceive(other, 'hello')).toBe('hello');
    expect(dropping.destroyed).toBe(false);
    expect(await dropped).toBe(5);
    expect(await error).toBe('ECONNRESET');
    expect(received).toBe(0);
    expect(await sendAndReceive(await connectTo('shop', 'DATABASE_URL'), 'again')).toBe('again');
  });
});
