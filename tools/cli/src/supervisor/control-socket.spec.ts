import { mkdtempSync, rmSync } from 'node:fs';
import { type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ControlClient, openControl } from './control-socket.ts';
import { type ServedRecord } from './run-record.ts';
import { type Launch } from './service-launch.ts';
import { openState, type State } from './state.ts';

const launch: Launch = { command: 'node', args: [], cwd: '/', env: {} };

describe('the control socket', () => {
  let folder: string;
  let state: State;
  let server: Server;
  let stopping = Promise.resolve();
  let served: ServedRecord[];
  const calls: string[] = [];

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'jogakbo-control-'));
    state = openState(folder);
    stopping = Promise.resolve();
    served = [];
    calls.length = 0;
    server = openControl(state, {
      async prepareLaunch(service) {
        if (service !== 'orders') throw new Error(`There is no service called ${service}.`);
        return launch;
      },
      take: (service) => stopping.then(() => void calls.push(`take ${service}`)),
      giveBack: async (service) => void calls.push(`give back ${service}`),
      restart: async (service) => void calls.push(`restart ${service}`),
      showServed: (records) => (served = records),
    });
    await new Promise((resolve) => server.once('listening', resolve));
  });
  afterEach(() => {
    for (const client of clients.splice(0)) client.close();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const waitForCalls = async (count: number) => {
    for (let tries = 0; calls.length < count && tries < 100; tries += 1) await pause(10);
    return calls;
  };
  const clients: ControlClient[] = [];
  async function open(): Promise<ControlClient> {
    const client = await ControlClient.open(state);
    clients.push(client);
    return client;
  }
  async function reserve(service = 'orders'): Promise<ControlClient> {
    const client = await open();
    await client.prepareLaunch(service, false);
    return client;
  }

  it('stops a service only on take, and restarts it when the connection closes', async () => {
    const client = await reserve();
    expect(calls).toEqual([]);
    await client.do('take', 'orders');
    expect(calls).toEqual(['take orders']);
    client.close();
    expect(await waitForCalls(2)).toEqual(['take orders', 'give back orders']);
  });

  it('does not restart a service again that was given back before the connection closed', async () => {
    const client = await reserve();
    await client.do('take', 'orders');
    await client.do('give', 'orders');
    client.close();
    await pause(50);
    expect(calls).toEqual(['take orders', 'give back orders']);
  });

  it('restarts a service whose client disconnected while it was being stopped', async () => {
    let stopped = () => {};
    stopping = new Promise((resolve) => (stopped = resolve));
    const client = await reserve();
    void client.do('take', 'orders').catch(() => undefined);
    await pause(50);
    client.close();
    await pause(50);
    stopped();
    await waitForCalls(2);
    expect(calls.at(-1)).toBe('give back orders');
  });

  it('allows an additional instance without stopping the existing one', async () => {
    const first = await reserve();
    const client = await open();
    expect(await client.prepareLaunch('orders', true)).toEqual(launch);
    await expect(client.do('take', 'orders')).rejects.toThrow('orders is not reserved');
    client.close();
    first.close();
    await pause(50);
    expect(calls).toEqual([]);
  });

  it('reserves a service for one client at a time', async () => {
    const first = await reserve();
    await expect(reserve()).rejects.toThrow('Another jogakbo serve runs orders');
    first.close();
    await pause(50);
    (await reserve()).close();
  });

  it('publishes the served record while the connection is open', async () => {
    const client = await reserve();
    const record: ServedRecord = { name: 'orders', state: 'served', version: '2.0.0', since: 1, restarts: 0 };
    await client.show(record);
    expect(served).toEqual([record]);
    client.close();
    for (let tries = 0; served.length > 0 && tries < 100; tries += 1) await pause(10);
    expect(served).toEqual([]);
  });

  it('restarts a service, but not a reserved one', async () => {
    const other = await open();
    await other.do('restart', 'orders');
    expect(calls).toEqual(['restart orders']);
    const client = await reserve();
    await expect(other.do('restart', 'orders')).rejects.toThrow('jogakbo serve runs orders');
    for (const one of [client, other]) one.close();
  });

  it('returns the error of a failed request', async () => {
    const client = await open();
    await expect(client.prepareLaunch('missing', true)).rejects.toThrow(
      'There is no service called missing.',
    );
    server.close();
    client.close();
    await expect(client.do('restart', 'orders')).rejects.toThrow('The store has stopped.');
  });
});
