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

  it('is the peer address, regardless of the request headers', () => {
    expect(getClientAddress(request('192.0.2.1', forwarded), compileTrust([]))).toBe('192.0.2.1');
    expect(getClientAddress(request('192.0.2.1', forwarded), compileTrust(['10.0.0.0/8']))).toBe('192.0.2.1');
  });

  it('is taken from a trusted peer, no further back than the first untrusted hop', () => {
    expect(getClientAddress(request('10.1.2.3', forwarded), compileTrust(['10.0.0.0/8']))).toBe(
      '198.51.100.2',
    );
    const both = compileTrust(['10.0.0.0/8', '198.51.100.0/24']);
    expect(getClientAddress(request('10.1.2.3', forwarded), both)).toBe('203.0.113.9');
  });

  it('is rejected in the settings if it is not an address', () => {
    expect(() => compileTrust(['everybody'])).toThrow();
  });

  it('is counted by /64 network in IPv6 and by address in IPv4, in any notation', () => {
    expect(toNetwork('2001:db8::1')).toBe(toNetwork('2001:DB8:0:0:ffff::2'));
    expect(toNetwork('2001:db8::1')).not.toBe(toNetwork('2001:db8:0:1::1'));
    expect(toNetwork('::ffff:192.0.2.1')).toBe('192.0.2.1');
    expect(toNetwork('unknown')).toBe('unknown');
  });

  it('is known if no proxy forwarded the request, or a trusted proxy names the client', () => {
    const loopback = compileTrust(['loopback']);
    expect(isOriginKnown(request('127.0.0.1'), compileTrust([]))).toBe(true);
    expect(isOriginKnown(request('127.0.0.1', forwarded), loopback)).toBe(true);
    expect(isOriginKnown(request('127.0.0.1', forwarded), compileTrust([]))).toBe(false);
    expect(isOriginKnown(request('10.0.0.1', forwarded), loopback)).toBe(false);
    for (const name of ['forwarded', 'x-real-ip', 'via', 'x-forwarded-proto'])
      expect(isOriginKnown(request('127.0.0.1', { [name]: 'x' }), loopback)).toBe(false);
  });

  it('counts as TLS if the socket is encrypted or a trusted peer reports https', () => {
    const https = { 'x-forwarded-proto': 'https' };
    expect(isSecure(request('192.0.2.1', {}, true), compileTrust([]))).toBe(true);
    expect(isSecure(request('192.0.2.1', https), compileTrust([]))).toBe(false);
    expect(isSecure(request('127.0.0.1', https), compileTrust(['loopback']))).toBe(true);
    expect(isSecure(request('127.0.0.1', {}), compileTrust(['loopback']))).toBe(false);
  });
});
