import type os from 'node:os';
import { expect, it } from '@jest/globals';
import { toOwnUrl } from './own-url.ts';

const inContainer = {
  lo: [{ address: '127.0.0.1', family: 'IPv4', internal: true }],
  eth0: [
    { address: '169.254.7.7', family: 'IPv4', internal: false },
    { address: 'fe80::7', family: 'IPv6', internal: false, scopeid: 0 },
    { address: 'fe80::1', family: 'IPv6', internal: false, scopeid: 2 },
    { address: 'fd00::7', family: 'IPv6', internal: false, scopeid: 0 },
    { address: '172.20.0.7', family: 'IPv4', internal: false },
  ],
} as unknown as ReturnType<typeof os.networkInterfaces>;

it.each([
  ['127.0.0.1', inContainer, 'http://127.0.0.1:3000'],
  ['::1', inContainer, 'http://[::1]:3000'],
  ['loans.example', inContainer, 'http://loans.example:3000'],
  ['0.0.0.0', inContainer, 'http://172.20.0.7:3000'],
  ['::', inContainer, 'http://172.20.0.7:3000'],
  ['::', { eth0: inContainer['eth0']!.slice(0, 4) }, 'http://[fd00::7]:3000'],
  ['::', { eth0: inContainer['eth0']!.slice(0, 3) }, 'http://127.0.0.1:3000'],
  ['0.0.0.0', { lo: inContainer['lo'] }, 'http://127.0.0.1:3000'],
])('a server that listens on %s announces an address that others reach', (host, interfaces, url) =>
  expect(toOwnUrl('http://127.0.0.1:3000', host, interfaces)).toBe(url),
);
