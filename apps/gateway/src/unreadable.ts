import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { childTraceparent, getTraceId } from '@jogakbo/messaging';
import { problemHeaders, problemOfStatus } from './problem.ts';
import { securityHeaders } from './security-headers.ts';

/** What Node's parser makes of bytes that it cannot read. */
interface ParseError extends Error {
  code?: string;
  reason?: string;
  /** A Buffer, though fastify's types say otherwise. */
  rawPacket?: unknown;
}

/** Answers what is not HTTP, or came too slowly, and hangs up. */
export function refuseUnreadable(error: ParseError, socket: Socket): void {
  const { _httpMessage: answering } = socket as Socket & { _httpMessage?: ServerResponse };
  if (!socket.writable || error.code === 'ECONNRESET') return void socket.destroy();
  // An answer that has begun cannot be taken back; one that is complete still reaches the client.
  if (answering?.headersSent) return void (answering.writableEnded ? socket.destroySoon() : socket.destroy());
  hangUp(socket, toStatus(error));
}

/** This is no proxy: there are no tunnels (RFC 9110, section 9.3.6). */
export function refuseTunnel(_request: IncomingMessage, socket: Duplex): void {
  socket.on('error', () => {});
  hangUp(socket as Socket, 501);
}

const wellFormedLine = /^[\w!#$%&'*+.^`|~-]+ \S+ HTTP\/1\.[01]\r?\n/;

function toStatus({ code, reason, rawPacket }: ParseError): number {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return 431;
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return 408;
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return 413;
    case 'HPE_PAUSED_H2_UPGRADE':
      return 505;
    case 'HPE_INVALID_VERSION':
      return reason === 'Invalid HTTP version' ? 505 : 400;
    case 'HPE_INVALID_METHOD':
      return wellFormedLine.test(Buffer.isBuffer(rawPacket) ? rawPacket.toString('latin1') : '') ? 501 : 400;
    default:
      return 400;
  }
}

function hangUp(socket: Socket, status: number): void {
  const problem = problemOfStatus(status, getTraceId(childTraceparent())!);
  const body = JSON.stringify(problem);
  const headers = {
    date: new Date().toUTCString(),
    ...securityHeaders,
    ...problemHeaders(problem),
    'x-request-id': problem.traceId,
    'content-length': Buffer.byteLength(body),
    connection: 'close',
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`HTTP/1.1 ${problem.status} ${problem.title}\r\n${lines.join('')}\r\n${body}`);
  // Whether or not the other side hangs up as well.
  socket.destroySoon();
}
