import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { NotReady } from '@jogakbo/delivery/src/engine.ts';
import { eventually } from '@jogakbo/testing';
import { ControlClient } from './control-client.ts';
import { ControlSocket, getControlPath, type LocalRelease, type StoreControl } from './control-socket.ts';
import { type ServedRecord } from './run-record.ts';
import { type LaunchCommand } from './service-launch.ts';
import { openState, type StateFolder } from './state.ts';

const launch: LaunchCommand = { command: 'node', args: [], cwd: '/', env: {} };

it('a path of many bytes and few characters is in the temporary folder', () => {
  const folder = `/home/${'가'.repeat(35)}`;
  expect(getControlPath({ folder, logs: folder, id: 'x' })).toBe(join(tmpdir(), 'jogakbo-x.sock'));
});

it('a store runs without a socket if its path cannot be used', async () => {
  const blocked = openState(mkdtempSync(join(tmpdir(), 'jogakbo-control-')));
  mkdirSync(getControlPath(blocked));
  const error = await new Promise<Error>((resolve) => {
    new ControlSocket(blocked, {} as StoreControl, resolve);
  });
  expect(error.message).toContain('EADDRINUSE');
  rmSync(blocked.folder, { recursive: true });
});

describe('the control socket', () => {
  let folder: string;
  let state: StateFolder;
  let server: ControlSocket;
  let stopping = Promise.resolve();
  let starting = Promise.resolve();
  let served: ServedRecord[];
  const calls: string[] = [];

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'jogakbo-control-'));
    state = openState(folder);
    stopping = Promise.resolve();
    starting = Promise.resolve();
    served = [];
    calls.length = 0;
    const control = {
      async getLaunchCommand(service: string) {
        if (service !== 'tea') throw new Error(`There is no service called ${service}.`);
        return launch;
      },
      suspend: (service: string) => stopping.then(() => void calls.push(`suspend ${service}`)),
      resume: async (service: string) => void calls.push(`resume ${service}`),
      restart: async (service: string) => void calls.push(`restart ${service}`),
      scale: async (service: string, count: number) => void calls.push(`scale ${service} ${count}`),
      async startVersion({ service, version }: LocalRelease) {
        await starting;
        if (version === 'bad') throw new NotReady(`${service} ended (code 1)`, ['Error: no tea']);
        calls.push(`start ${service} ${version}`);
      },
      promote: async (service: string, version: string) => void calls.push(`promote ${service} ${version}`),
      withdraw: async (service: string) => void calls.push(`withdraw ${service}`),
      retire: async (service: string) => void calls.push(`retire ${service}`),
      recordServed: (records: ServedRecord[]) => void (served = records),
    };
    server = new ControlSocket(state, control, (error) => {
      throw error;
    });
    await eventually(() => existsSync(getControlPath(state)));
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
  async function reserve(service = 'tea'): Promise<ControlClient> {
    const client = await open();
    await client.reserve(service);
    return client;
  }

  it('stops a service only on suspend, and resumes it when the connection closes', async () => {
    const client = await reserve();
    expect(calls).toEqual([]);
    await client.suspend('tea');
    expect(calls).toEqual(['suspend tea']);
    client.close();
    expect(await waitForCalls(2)).toEqual(['suspend tea', 'resume tea']);
  });

  it('does not resume a service again that was resumed before the connection closed', async () => {
    const client = await reserve();
    await client.suspend('tea');
    await client.resume('tea');
    client.close();
    await pause(50);
    expect(calls).toEqual(['suspend tea', 'resume tea']);
  });

  it('resumes a service whose client disconnected while it was being stopped', async () => {
    let stopped = () => {};
    stopping = new Promise((resolve) => (stopped = resolve));
    const client = await reserve();
    void client.suspend('tea').catch(() => undefined);
    await pause(50);
    client.close();
    await pause(50);
    stopped();
    await waitForCalls(2);
    expect(calls.at(-1)).toBe('resume tea');
  });

  it('allows an additional instance without stopping the existing one', async () => {
    const first = await reserve();
    const client = await open();
    expect(await client.getLaunchCommand('tea')).toEqual(launch);
    await expect(client.suspend('tea')).rejects.toThrow('tea is not reserved');
    client.close();
    first.close();
    await pause(50);
    expect(calls).toEqual([]);
  });

  const release = { service: 'tea', version: '2', folder: '/tea/2' };

  it('ends a service for good only for the client that reserved it', async () => {
    const client = await open();
    await expect(client.retire('tea')).rejects.toThrow('not reserved by this connection');
    await client.reserve('tea');
    await client.retire('tea');
    client.close();
    await pause(50);
    expect(calls).toEqual(['retire tea']);
  });

  it('withdraws a version whose client disconnects before it is promoted', async () => {
    const client = await reserve();
    await client.startVersion(release);
    client.close();
    expect(await waitForCalls(2)).toEqual(['start tea 2', 'withdraw tea']);
  });

  it('withdraws a version whose client disconnects while it starts', async () => {
    let started = () => {};
    starting = new Promise((resolve) => (started = resolve));
    const client = await reserve();
    void client.startVersion(release).catch(() => undefined);
    await pause(50);
    client.close();
    await pause(50);
    started();
    await eventually(() => calls.at(-1) === 'withdraw tea');
    expect(calls).toContain('start tea 2');
  });

  it('keeps a promoted version', async () => {
    const client = await reserve();
    await client.startVersion(release);
    await client.promote('tea', '2');
    client.close();
    await pause(50);
    expect(calls).toEqual(['start tea 2', 'promote tea 2']);
  });

  it('returns the last lines of the log of a version that does not become ready', async () => {
    const client = await reserve();
    const error = await client
      .startVersion({ ...release, version: 'bad' })
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(NotReady);
    expect(error).toMatchObject({ message: 'tea ended (code 1)', lines: ['Error: no tea'] });
    client.close();
    expect(await waitForCalls(1)).toEqual(['withdraw tea']);
  });

  it('starts a version only of a reserved service, and scales only a free one', async () => {
    const client = await open();
    await expect(client.startVersion(release)).rejects.toThrow('tea is not reserved');
    await client.scale('tea', 3);
    expect(calls).toEqual(['scale tea 3']);
    await client.reserve('tea');
    const other = await open();
    await expect(other.scale('tea', 1)).rejects.toThrow('Another command serves or deploys tea');
  });

  it('reserves a service for one client at a time', async () => {
    const first = await reserve();
    await expect(reserve()).rejects.toThrow('Another command serves or deploys tea');
    first.close();
    await pause(50);
    (await reserve()).close();
  });

  it('publishes the served record while the connection is open', async () => {
    const client = await reserve();
    const record: ServedRecord = { name: 'tea', state: 'served', version: '2.0.0', since: 1, restarts: 0 };
    await client.recordServed(record);
    expect(served).toEqual([record]);
    client.close();
    for (let tries = 0; served.length > 0 && tries < 100; tries += 1) await pause(10);
    expect(served).toEqual([]);
  });

  it('restarts a service, but not a reserved one', async () => {
    const other = await open();
    await other.restart('tea');
    expect(calls).toEqual(['restart tea']);
    const client = await reserve();
    await expect(other.restart('tea')).rejects.toThrow('Another command serves or deploys tea');
    for (const one of [client, other]) one.close();
  });

  it('returns the error of a failed request', async () => {
    const client = await open();
    await expect(client.getLaunchCommand('missing')).rejects.toThrow('There is no service called missing.');
    server.close();
    client.close();
    await expect(client.restart('tea')).rejects.toThrow('The store has stopped.');
  });

  it('answers a line that is not a request with an error, and keeps working', async () => {
    const socket = connect(getControlPath(state));
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk) => (text += chunk));
    socket.write('not JSON\n{"id":7,"what":"restart"}\n{"id":8,"what":"nonsense","service":"tea"}\nnull\n');
    await eventually(() => text.split('\n').length > 4);
    expect(
      text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as object),
    ).toEqual([
      { id: -1, error: 'The request is not valid.' },
      { id: 7, error: 'The request is not valid.' },
      { id: 8, error: 'The store does not know the request nonsense.' },
      { id: -1, error: 'The request is not valid.' },
    ]);
    socket.destroy();
    expect(await (await open()).getLaunchCommand('tea')).toEqual(launch);
  });

  it('ends its connections when the store stops', async () => {
    const client = await reserve();
    server.close();
    await client.closed;
    await expect(client.restart('tea')).rejects.toThrow('The store has stopped.');
  });
});
