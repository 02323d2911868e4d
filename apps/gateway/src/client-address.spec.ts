import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import { addressOf, isOriginKnown, isSecure, networkOf, trustOf } from './client-address.ts';

const request = (remoteAddress: string, headers: IncomingMessage['headers'] = {}, encrypted = false) =>
  ({
    socket: { remoteAddress, encrypted },
    connection: { remoteAddress },
    headers,
  }) as unknown as IncomingMessage;

describe('the address of a client', () => {
  const forwarded = { 'x-forwarded-for': '203.0.113.9, 198.51.100.2' };

  it('is that of its peer, whatever its headers say', () => {
    expect(addressOf(request('192.0.2.1', forwarded), trustOf([]))).toBe('192.0.2.1');
    expect(addressOf(request('192.0.2.1', forwarded), trustOf(['10.0.0.0/8']))).toBe('192.0.2.1');
  });

  it('is what a trusted peer says, and no further back than trust goes', () => {
    expect(addressOf(request('10.1.2.3', forwarded), trustOf(['10.0.0.0/8']))).toBe('198.51.100.2');
    const both = trustOf(['10.0.0.0/8', '198.51.100.0/24']);
    expect(addressOf(request('10.1.2.3', forwarded), both)).toBe('203.0.113.9');
  });

  it('is refused where it is no address, in the settings', () => {
    expect(() => trustOf(['everybody'])).toThrow();
  });

  it('is counted by network in IPv6, and as itself in IPv4, however it is written', () => {
    expect(networkOf('2001:db8::1')).toBe(networkOf('2001:DB8:0:0:ffff::2'));
    expect(networkOf('2001:db8::1')).not.toBe(networkOf('2001:db8:0:1::1'));
    expect(networkOf('::ffff:192.0.2.1')).toBe('192.0.2.1');
    expect(networkOf('unknown')).toBe('unknown');
  });

  it('is known where no proxy forwarded the request, or a trusted one names the client', () => {
    const loopback = trustOf(['loopback']);
    expect(isOriginKnown(request('127.0.0.1'), trustOf([]))).toBe(true);
    expect(isOriginKnown(request('127.0.0.1', forwarded), loopback)).toBe(true);
    expect(isOriginKnown(request('127.0.0.1', forwarded), trustOf([]))).toBe(false);
    expect(isOriginKnown(request('10.0.0.1', forwarded), loopback)).toBe(false);
    for (const name of ['forwarded', 'x-real-ip', 'via', 'x-forwarded-proto'])
      expect(isOriginKnown(request('127.0.0.1', { [name]: 'x' }), loopback)).toBe(false);
  });

  it('came over TLS where the socket is, or a trusted peer says so', () => {
    const https = { 'x-forwarded-proto': 'https' };
    expect(isSecure(request('192.0.2.1', {}, true), trustOf([]))).toBe(true);
    expect(isSecure(request('192.0.2.1', https), trustOf([]))).toBe(false);
    expect(isSecure(request('127.0.0.1', https), trustOf(['loopback']))).toBe(true);
    expect(isSecure(request('127.0.0.1', {}), trustOf(['loopback']))).toBe(false);
  });
});
