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
  const asked: string[] = [];

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'jogakbo-control-'));
    state = openState(folder);
    stopping = Promise.resolve();
    served = [];
    asked.length = 0;
    server = openControl(state, {
      async prepareLaunch(service) {
        if (service !== 'orders') throw new Error(`There is no service called ${service}.`);
        return launch;
      },
      take: (service) => stopping.then(() => void asked.push(`take ${service}`)),
      giveBack: async (service) => void asked.push(`give back ${service}`),
      restart: async (service) => void asked.push(`restart ${service}`),
      showServed: (records) => (served = records),
    });
    await new Promise((resolve) => server.once('listening', resolve));
  });
  afterEach(() => {
    for (const client of clients.splice(0)) client.close();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const untilAsked = async (count: number) => {
    for (let tries = 0; asked.length < count && tries < 100; tries += 1) await pause(10);
    return asked;
  };
  const clients: ControlClient[] = [];
  async function open(): Promise<ControlClient> {
    const client = await ControlClient.open(state);
    clients.push(client);
    return client;
  }
  async function borrow(service = 'orders'): Promise<ControlClient> {
    const client = await open();
    await client.prepareLaunch(service, false);
    return client;
  }

  it('takes nothing away until it is asked to, and gives back what was taken when the connection ends', async () => {
    const client = await borrow();
    expect(asked).toEqual([]);
    await client.do('take', 'orders');
    expect(asked).toEqual(['take orders']);
    client.close();
    expect(await untilAsked(2)).toEqual(['take orders', 'give back orders']);
  });

  it('gives back once what was given back by hand', async () => {
    const client = await borrow();
    await client.do('take', 'orders');
    await client.do('give', 'orders');
    client.close();
    await pause(50);
    expect(asked).toEqual(['take orders', 'give back orders']);
  });

  it('gives back what its borrower did not live to see taken', async () => {
    let stopped = () => {};
    stopping = new Promise((resolve) => (stopped = resolve));
    const client = await borrow();
    void client.do('take', 'orders').catch(() => undefined);
    await pause(50);
    client.close();
    await pause(50);
    stopped();
    await untilAsked(2);
    expect(asked.at(-1)).toBe('give back orders');
  });

  it('lets one more run beside the one that there is, and takes nothing away', async () => {
    const borrowed = await borrow();
    const client = await open();
    expect(await client.prepareLaunch('orders', true)).toEqual(launch);
    await expect(client.do('take', 'orders')).rejects.toThrow('orders was not borrowed');
    client.close();
    borrowed.close();
    await pause(50);
    expect(asked).toEqual([]);
  });

  it('lends nothing to two at a time', async () => {
    const first = await borrow();
    await expect(borrow()).rejects.toThrow('Another jogakbo serve runs orders');
    first.close();
    await pause(50);
    (await borrow()).close();
  });

  it('shows what is served for as long as the connection lasts', async () => {
    const client = await borrow();
    const record: ServedRecord = { name: 'orders', state: 'served', version: '2.0.0', since: 1, restarts: 0 };
    await client.show(record);
    expect(served).toEqual([record]);
    client.close();
    for (let tries = 0; served.length > 0 && tries < 100; tries += 1) await pause(10);
    expect(served).toEqual([]);
  });

  it('restarts a service, but none that is lent', async () => {
    const other = await open();
    await other.do('restart', 'orders');
    expect(asked).toEqual(['restart orders']);
    const client = await borrow();
    await expect(other.do('restart', 'orders')).rejects.toThrow('jogakbo serve runs orders');
    for (const one of [client, other]) one.close();
  });

  it('says why it does not do a thing', async () => {
    const client = await open();
    await expect(client.prepareLaunch('nobody', true)).rejects.toThrow('There is no service called nobody.');
    server.close();
    client.close();
    await expect(client.do('restart', 'orders')).rejects.toThrow('The store has ended.');
  });
});
