import type { IncomingMessage } from 'node:http';
import { isIPv6 } from 'node:net';
import { Rejection } from '@jogakbo/contract';
import { NotSupported } from './problem.ts';

/** A URL longer than this is refused, before anything looks at it. */
const longestUrl = 4_096;
export const mostHeaders = 100;

const malformed = (detail: string) => new Rejection('invalid-request', 400, detail);
const malformedUrl = (detail: string) => new Rejection('invalid-url', 400, detail);

/**
 * Checks of RFC 9110 and RFC 9112 that Node's parser leaves to its user.
 * @throws Rejection @throws NotSupported
 */
export function mustBeHttp({ url, httpVersion, headers, rawHeaders }: IncomingMessage): void {
  if (url!.length > longestUrl) throw new Rejection('uri-too-long', 414, `not more than ${longestUrl} bytes`);
  if (rawHeaders.length > 2 * mostHeaders)
    throw new Rejection('headers-too-large', 431, `not more than ${mostHeaders} headers`);
  if (httpVersion === '0.9') throw malformed('the request line must end with an HTTP version');
  if (httpVersion !== '1.1' && httpVersion !== '1.0') throw new NotSupported(505, 'HTTP/1.1 is spoken here');
  const coding = headers['transfer-encoding'];
  if (coding !== undefined) {
    if (httpVersion === '1.0') throw malformed('HTTP/1.0 has no Transfer-Encoding');
    if (coding.trim().toLowerCase() !== 'chunked')
      throw new NotSupported(501, 'the only transfer coding that is read is chunked');
  }
  mustNameHost(httpVersion, rawHeaders);
}

/** RFC 9112, section 3.2: exactly one, and well-formed; HTTP/1.0 may leave it out. */
function mustNameHost(httpVersion: string, rawHeaders: string[]): void {
  let host: string | undefined;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]!.length !== 4 || rawHeaders[at]!.toLowerCase() !== 'host') continue;
    if (host !== undefined) throw malformed('there must be one Host header');
    host = rawHeaders[at + 1]!;
  }
  if (host === undefined && httpVersion === '1.1') throw malformed('there must be a Host header');
  if (host !== undefined && !isHost(host)) throw malformed('Host must be a host and, perhaps, a port');
}

const hostForm = /^(?:\[([0-9A-Fa-f:.]+)\]|(?:[\w.~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(?::(\d{0,5}))?$/;

function isHost(text: string): boolean {
  const [found, ipv6, port = ''] = hostForm.exec(text) ?? [];
  return found !== undefined && (ipv6 === undefined || isIPv6(ipv6)) && Number(port) <= 65_535;
}

const absoluteForm = /^https?:\/\/([^/?#]+)/i;

/**
 * The path and query of a request target, in one spelling: without the origin of its absolute form, and what is
 * percent-encoded in NFC. `*` stays (RFC 9112, section 3.2.4). No segment is `.` or `..`: what clients, proxies and services
 * make of these differs.
 * @throws Rejection where it is not a target, or not UTF-8 once decoded
 */
export function parseTarget({ method, url }: IncomingMessage): string {
  let target = url!;
  if (target === '*' && method === 'OPTIONS') return target;
  if (!target.startsWith('/')) {
    const [origin, authority = ''] = absoluteForm.exec(target) ?? [];
    if (origin === undefined || !isHost(authority))
      throw malformedUrl('the target is not a URL of this server');
    target = target.slice(origin.length);
    if (!target.startsWith('/')) target = `/${target}`;
  }
  if (target.includes('#')) throw malformedUrl('a fragment is not part of a request');
  if (target.includes('%')) target = target.replace(/[^/?&=+]*%[^/?&=+]*/g, inNfc);
  mustNotClimb(target);
  return target;
}

/** However its dots and slashes are written; with parameters of the segment, which some servers leave out. */
function mustNotClimb(target: string): void {
  const query = target.indexOf('?');
  const path = query < 0 ? target : target.slice(0, query);
  if (!/\.|%2e/i.test(path)) return;
  if (
    decodeURIComponent(path)
      .split(/[/\\]/)
      .some((segment) => /^\.\.?(;|$)/.test(segment))
  )
    throw malformedUrl('a path must not hold the segments . and ..');
}

function inNfc(encoded: string): string {
  let text: string;
  try {
    text = decodeURIComponent(encoded);
  } catch {
    throw malformedUrl('what is percent-encoded must be valid UTF-8');
  }
  if (text.includes('\0')) throw malformedUrl('there is no NUL in a URL');
  const normalized = text.normalize('NFC');
  return normalized === text ? encoded : encodeURIComponent(normalized);
}
