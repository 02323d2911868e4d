import { mkdtempSync, rmSync } from 'node:fs';
import { type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { openControl, takeService } from './control-socket.ts';
import { type Launch } from './service-launch.ts';
import { openState, type State } from './state.ts';

const launch: Launch = { command: 'node', args: [], cwd: '/', env: {} };

describe('the control socket', () => {
  let folder: string;
  let state: State;
  let server: Server;
  let stopping = Promise.resolve();
  const returned: string[] = [];

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'jogakbo-control-'));
    state = openState(folder);
    stopping = Promise.resolve();
    returned.length = 0;
    server = openControl(state, {
      take: async (service) => stopping.then(() => (service === 'orders' ? launch : undefined)),
      giveBack: (service) => returned.push(service),
      launchOf: (service) => (service === 'orders' ? launch : undefined),
    });
    await new Promise((resolve) => server.once('listening', resolve));
  });
  afterEach(() => {
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const untilReturned = async () => {
    for (let tries = 0; returned.length === 0 && tries < 100; tries += 1) await pause(10);
    return returned;
  };

  it('gives back what was borrowed when the connection ends', async () => {
    const { launch: got, socket } = await takeService(state, 'orders');
    expect(got).toEqual(launch);
    expect(returned).toEqual([]);
    socket.destroy();
    expect(await untilReturned()).toEqual(['orders']);
  });

  it('gives back what nobody waits for any more', async () => {
    let stopped = () => {};
    stopping = new Promise((resolve) => (stopped = resolve));
    server.once('connection', (socket) => socket.once('data', () => setTimeout(() => socket.destroy(), 10)));
    takeService(state, 'orders').catch(() => undefined);
    await pause(100);
    expect(returned).toEqual([]);
    stopped();
    expect(await untilReturned()).toEqual(['orders']);
  });

  it('lets one more run beside the one that there is, and takes nothing away', async () => {
    const { socket: borrowed } = await takeService(state, 'orders');
    const { launch: got, socket } = await takeService(state, 'orders', 'beside');
    expect(got).toEqual(launch);
    const { launch: none, socket: unknown } = await takeService(state, 'nobody', 'beside');
    expect(none).toBeUndefined();
    unknown.destroy();
    socket.destroy();
    await pause(50);
    expect(returned).toEqual([]);
    borrowed.destroy();
    await untilReturned();
  });

  it('lends nothing to two at a time', async () => {
    const { socket } = await takeService(state, 'orders');
    await expect(takeService(state, 'orders')).rejects.toThrow('Another jogakbo serve runs orders');
    expect(returned).toEqual([]);
    socket.destroy();
    await untilReturned();
    const again = await takeService(state, 'orders');
    expect(again.launch).toEqual(launch);
    again.socket.destroy();
  });

  it('knows who is unknown', async () => {
    const { launch: got, socket } = await takeService(state, 'nobody');
    expect(got).toBeUndefined();
    socket.destroy();
  });
});
