import dns from 'node:dns';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTcpServer, type AddressInfo, type Server } from 'node:net';
import os from 'node:os';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import {
  DeniedAddress,
  EndpointList,
  instanceHeader,
  Network,
  toEndpoint,
  UpstreamAddresses,
} from './upstream-addresses.ts';

/** The loopback networks, and all addresses. */
const loopback = ['127.0.0.0/8', '::1/128'];
const everything = ['0.0.0.0/0', '::/0'];

const resolve = (host: string, networks: string[], own = '', port = 80) =>
  new UpstreamAddresses(() => EndpointList.parse(own)).resolve({ host, port }, networks);

/** Mocks the name server. */
const nameServer = (answers: Record<string, string[]>) =>
  jest.spyOn(dns.promises, 'lookup').mockImplementation((async (host: string) => {
    if (!answers[host]) throw new Error(`getaddrinfo ENOTFOUND ${host}`);
    return answers[host].map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
  }) as never);

afterEach(() => void jest.restoreAllMocks());

describe('the address of an upstream', () => {
  it.each([
    ['10.1.2.3', ['10.0.0.0/8']],
    ['::ffff:10.1.2.3', ['10.0.0.0/8']],
    ['fd12::1', ['fd00::/8']],
    ['8.8.8.8', everything],
    ['127.0.0.1', loopback],
    ['::1', loopback],
  ])('%s is permitted by %j', async (address, networks) => {
    expect(await resolve(address, networks)).toMatchObject([{ address }]);
  });

  it.each([
    ['10.1.2.3', []],
    ['10.1.2.3', ['10.2.0.0/16']],
    ['10.1.2.3', ['::/0']],
    ['127.0.0.1', everything],
    ['127.0.0.1', ['126.0.0.0/7']],
    ['::1', everything],
    ['::1', ['::/127']],
    ['::ffff:127.0.0.1', everything],
    ['::ffff:7f00:1', everything],
    ['169.254.169.254', [...everything, '169.254.169.254/32']],
    ['169.254.10.1', [...everything, '169.254.0.0/16']],
    ['::ffff:169.254.169.254', [...everything, '169.254.169.254/32']],
    ['fe80::1', ['fe80::/10']],
    ['fd00:ec2::254', ['fd00:ec2::254/128']],
    ['100.100.100.200', everything],
    ['0.0.0.0', [...everything, '0.0.0.0/32']],
    ['::', ['::/128']],
    ['224.0.0.1', everything],
    ['ff02::1', everything],
    ['255.255.255.255', everything],
    ['64:ff9b::7f00:1', everything],
    ['2002:7f00:1::1', everything],
    ['2001:0:1::1', everything],
    ['::127.0.0.1', everything],
  ])('%s is denied with %j', async (address, networks) => {
    await expect(resolve(address, networks)).rejects.toThrow(DeniedAddress);
  });

  it('is checked after each resolution of its name', async () => {
    nameServer({ 'app.test': ['10.0.0.1', '169.254.169.254'] });
    const addresses = new UpstreamAddresses(() => []);
    const target = { host: 'app.test', port: 80 };
    expect(await addresses.resolve(target, everything)).toEqual([{ address: '10.0.0.1', family: 4 }]);
    nameServer({ 'app.test': ['127.0.0.1', '::1', '::ffff:127.0.0.1'] });
    await expect(addresses.resolve(target, everything)).rejects.toThrow('names loopback explicitly');
    nameServer({});
    await expect(addresses.resolve(target, everything)).rejects.toThrow('ENOTFOUND');
  });
});

describe("the store's own endpoints", () => {
  it.each([
    ['127.0.0.1', '127.0.0.1:5672', 5672],
    ['127.0.0.2', '127.0.0.1:5672', 5672],
    ['::1', '127.0.0.1:5672', 5672],
    ['::ffff:127.0.0.1', '0.0.0.0:5672', 5672],
    ['127.0.0.1', '[::1]:5672', 5672],
    ['10.9.8.7', '127.0.0.1:5672', 5672],
    ['127.0.0.1', '10.9.8.7:5672', 5672],
    ['10.0.0.9', '10.0.0.9', 1234],
    ['10.0.0.9', '10.0.0.9:443', 443],
  ])('%s is denied by %s', async (address, own, port) => {
    const networks = [...everything, ...loopback];
    // This machine also has a network address.
    jest.spyOn(os, 'networkInterfaces').mockReturnValue({ eth0: [{ address: '10.9.8.7' } as never] });
    await expect(resolve(address, networks, own, port)).rejects.toThrow('belongs to the store itself');
    if (own.includes(':')) expect(await resolve(address, networks, own, port + 1)).toHaveLength(1);
  });

  it('are recognized by name, even while the name server is unavailable', async () => {
    nameServer({ 'broker.test': ['10.0.0.7'] });
    const addresses = new UpstreamAddresses(() => EndpointList.parse('broker.test:5672'));
    const target = { host: '10.0.0.7', port: 5672 };
    await expect(addresses.resolve(target, everything)).rejects.toThrow('belongs to the store');
    nameServer({});
    jest.spyOn(performance, 'now').mockReturnValue(performance.now() + 60_000);
    await expect(addresses.resolve(target, everything)).rejects.toThrow('belongs to the store');
  });
});

describe('as text', () => {
  it('an endpoint is a host with or without a port', () => {
    expect(EndpointList.parse('broker:5672, [::1]:80,postgres,')).toEqual([
      { host: 'broker', port: 5672 },
      { host: '::1', port: 80 },
      { host: 'postgres' },
    ]);
    expect(EndpointList.safeParse('http://broker').success).toBe(false);
    expect(toEndpoint('amqps://me:secret@broker/vhost')).toEqual({ host: 'broker', port: 5671 });
    expect(toEndpoint('http://[::1]:8080/x')).toEqual({ host: '::1', port: 8080 });
  });

  it.each(['10/8', '10.0.0.0', '10.0.0.0/33', '0x7f.0.0.0/8', 'all', ''])('%p is no network', (text) => {
    expect(Network.safeParse(text).success).toBe(false);
  });
});

describe('an endpoint that a service announces as its own', () => {
  const servers: Server[] = [];
  afterEach(() => servers.splice(0).forEach((server) => server.close()));
  const listen = async (server: Server): Promise<number> => {
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  };
  const answering = (answer: RequestListener) => listen(createServer(answer));
  const isDenied = async (port: number): Promise<boolean> => {
    const endpoint = { host: '127.0.0.1', port };
    return new UpstreamAddresses(
      () => [],
      () => [endpoint],
    )
      .resolve(endpoint, loopback)
      .then(
        () => false,
        (error: unknown) => error instanceof DeniedAddress,
      );
  };

  it('is denied if a process of the store listens there', async () => {
    expect(
      await isDenied(await answering((_, response) => response.setHeader(instanceHeader, 'true').end())),
    ).toBe(true);
    expect(
      await isDenied(
        await answering((_, response) => response.writeHead(503, { [instanceHeader]: 'true' }).end()),
      ),
    ).toBe(true);
  });

  it('is permitted if an app listens there, whatever the service announces', async () => {
    expect(await isDenied(await answering((_, response) => response.end('ok')))).toBe(false);
    expect(await isDenied(await answering((_, response) => response.writeHead(404).end()))).toBe(false);
  });

  it('is denied if nothing there answers over HTTP', async () => {
    const silent = await listen(createTcpServer((socket) => socket.destroy()));
    expect(await isDenied(silent)).toBe(true);
    servers.splice(0).forEach((server) => server.close());
    expect(await isDenied(silent)).toBe(true);
  });
});
