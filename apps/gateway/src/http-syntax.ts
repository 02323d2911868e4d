import type { IncomingMessage } from 'node:http';
import { isIPv6 } from 'node:net';
import { Rejection } from '@jogakbo/contract';
import { NotSupported } from './problem.ts';

/** Longer URLs are rejected before they are parsed. */
const maxUrlLength = 4_096;
export const maxHeaders = 100;

const createMalformed = (detail: string) => new Rejection('invalid-request', 400, detail);
const createMalformedUrl = (detail: string) => new Rejection('invalid-url', 400, detail);

/**
 * Checks rules of RFC 9110 and RFC 9112 that Node's parser does not enforce.
 * @throws Rejection @throws NotSupported
 */
export function mustBeHttp({ url, httpVersion, headers, rawHeaders }: IncomingMessage): void {
  if (url!.length > maxUrlLength) throw new Rejection('uri-too-long', 414, `at most ${maxUrlLength} bytes`);
  if (rawHeaders.length > 2 * maxHeaders)
    throw new Rejection('headers-too-large', 431, `at most ${maxHeaders} headers`);
  if (httpVersion === '0.9') throw createMalformed('the request line must end with an HTTP version');
  if (httpVersion !== '1.1' && httpVersion !== '1.0') throw new NotSupported(505, 'use HTTP/1.1');
  const coding = headers['transfer-encoding'];
  if (coding !== undefined) {
    if (httpVersion === '1.0') throw createMalformed('HTTP/1.0 has no Transfer-Encoding');
    if (coding.trim().toLowerCase() !== 'chunked')
      throw new NotSupported(501, 'the only supported transfer coding is chunked');
  }
  mustNameHost(httpVersion, rawHeaders);
}

/** Requires exactly one well-formed Host header; HTTP/1.0 may omit it (RFC 9112, section 3.2). */
function mustNameHost(httpVersion: string, rawHeaders: string[]): void {
  let host: string | undefined;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]!.length !== 4 || rawHeaders[at]!.toLowerCase() !== 'host') continue;
    if (host !== undefined) throw createMalformed('there must be exactly one Host header');
    host = rawHeaders[at + 1]!;
  }
  if (host === undefined && httpVersion === '1.1') throw createMalformed('the Host header is missing');
  if (host !== undefined && !isHost(host)) throw createMalformed('Host must be a host with an optional port');
}

const hostForm = /^(?:\[([0-9A-Fa-f:.]+)\]|(?:[\w.~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(?::(\d{0,5}))?$/;

function isHost(text: string): boolean {
  const [found, ipv6, port = ''] = hostForm.exec(text) ?? [];
  return found !== undefined && (ipv6 === undefined || isIPv6(ipv6)) && Number(port) <= 65_535;
}

const absoluteForm = /^https?:\/\/([^/?#]+)/i;

/**
 * The normalized path and query of a request target: without the origin of the absolute form, and percent-encoded text in
 * NFC. `*` is kept (RFC 9112, section 3.2.4). The segments `.` and `..` are rejected, because clients, proxies and services
 * resolve them differently.
 * @throws Rejection if it is not a valid target, or not UTF-8 once decoded
 */
export function parseTarget({ method, url }: IncomingMessage): string {
  let target = url!;
  if (target === '*' && method === 'OPTIONS') return target;
  if (!target.startsWith('/')) {
    const [origin, authority = ''] = absoluteForm.exec(target) ?? [];
    if (origin === undefined || !isHost(authority))
      throw createMalformedUrl('the target is not a URL of this server');
    target = target.slice(origin.length);
    if (!target.startsWith('/')) target = `/${target}`;
  }
  if (target.includes('#')) throw createMalformedUrl('a request target must not contain a fragment');
  if (target.includes('%')) target = target.replace(/[^/?&=+]*%[^/?&=+]*/g, normalizeEncoded);
  mustHaveNoDotSegments(target);
  return target;
}

/** Checks the decoded path, and ignores segment parameters (`;`), which some servers strip. */
function mustHaveNoDotSegments(target: string): void {
  const query = target.indexOf('?');
  const path = query < 0 ? target : target.slice(0, query);
  if (!/\.|%2e/i.test(path)) return;
  if (
    decodeURIComponent(path)
      .split(/[/\\]/)
      .some((segment) => /^\.\.?(;|$)/.test(segment))
  )
    throw createMalformedUrl('the path must not contain the segments . and ..');
}

function normalizeEncoded(encoded: string): string {
  let text: string;
  try {
    text = decodeURIComponent(encoded);
  } catch {
    throw createMalformedUrl('percent-encoded text must be valid UTF-8');
  }
  if (text.includes('\0')) throw createMalformedUrl('a URL must not contain NUL');
  const normalized = text.normalize('NFC');
  return normalized === text ? encoded : encodeURIComponent(normalized);
}
