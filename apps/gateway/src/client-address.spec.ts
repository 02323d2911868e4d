import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import { getClientAddress, isOriginKnown, isSecure, toNetwork, compileTrust } from './client-address.ts';

const request = (remoteAddress: string, headers: IncomingMessage['headers'] = {}, encrypted = false) =>
  ({
    socket: { remoteAddress, encrypted },
    connection: { remoteAddress },
    headers,
  }) as unknown as IncomingMessage;

describe('the address of a client', () => {
  const forwarded = { 'x-forwarded-for': '203.0.113.9, 198.51.100.2' };

  it('is that of its peer, whatever its headers say', () => {
    expect(getClientAddress(request('192.0.2.1', forwarded), compileTrust([]))).toBe('192.0.2.1');
    expect(getClientAddress(request('192.0.2.1', forwarded), compileTrust(['10.0.0.0/8']))).toBe('192.0.2.1');
  });

  it('is what a trusted peer says, and no further back than trust goes', () => {
    expect(getClientAddress(request('10.1.2.3', forwarded), compileTrust(['10.0.0.0/8']))).toBe(
      '198.51.100.2',
    );
    const both = compileTrust(['10.0.0.0/8', '198.51.100.0/24']);
    expect(getClientAddress(request('10.1.2.3', forwarded), both)).toBe('203.0.113.9');
  });

  it('is refused where it is no address, in the settings', () => {
    expect(() => compileTrust(['everybody'])).toThrow();
  });

  it('is counted by network in IPv6, and as itself in IPv4, however it is written', () => {
    expect(toNetwork('2001:db8::1')).toBe(toNetwork('2001:DB8:0:0:ffff::2'));
    expect(toNetwork('2001:db8::1')).not.toBe(toNetwork('2001:db8:0:1::1'));
    expect(toNetwork('::ffff:192.0.2.1')).toBe('192.0.2.1');
    expect(toNetwork('unknown')).toBe('unknown');
  });

  it('is known where no proxy forwarded the request, or a trusted one names the client', () => {
    const loopback = compileTrust(['loopback']);
    expect(isOriginKnown(request('127.0.0.1'), compileTrust([]))).toBe(true);
    expect(isOriginKnown(request('127.0.0.1', forwarded), loopback)).toBe(true);
    expect(isOriginKnown(request('127.0.0.1', forwarded), compileTrust([]))).toBe(false);
    expect(isOriginKnown(request('10.0.0.1', forwarded), loopback)).toBe(false);
    for (const name of ['forwarded', 'x-real-ip', 'via', 'x-forwarded-proto'])
      expect(isOriginKnown(request('127.0.0.1', { [name]: 'x' }), loopback)).toBe(false);
  });

  it('came over TLS where the socket is, or a trusted peer says so', () => {
    const https = { 'x-forwarded-proto': 'https' };
    expect(isSecure(request('192.0.2.1', {}, true), compileTrust([]))).toBe(true);
    expect(isSecure(request('192.0.2.1', https), compileTrust([]))).toBe(false);
    expect(isSecure(request('127.0.0.1', https), compileTrust(['loopback']))).toBe(true);
    expect(isSecure(request('127.0.0.1', {}), compileTrust(['loopback']))).toBe(false);
  });
});
