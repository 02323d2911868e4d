import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { childTraceparent, getTraceId } from '@jogakbo/messaging';
import { problemHeaders, createProblem } from './problem.ts';
import { securityHeaders } from './security-headers.ts';

/** The error of Node's HTTP parser. */
interface ParseError extends Error {
  code?: string;
  reason?: string;
  /** A Buffer, although fastify's types declare otherwise. */
  rawPacket?: unknown;
}

/** Answers malformed or too slow requests and closes the connection. */
export function rejectUnreadable(error: ParseError, socket: Socket): void {
  const { _httpMessage: response } = socket as Socket & { _httpMessage?: ServerResponse };
  if (!socket.writable || error.code === 'ECONNRESET') return void socket.destroy();
  // A response that has begun cannot be replaced. A complete one is still delivered.
  if (response?.headersSent) return void (response.writableEnded ? socket.destroySoon() : socket.destroy());
  answerAndClose(socket, toStatus(error));
}

/** Rejects CONNECT: the gateway offers no tunnels (RFC 9110, section 9.3.6). */
export function rejectTunnel(_request: IncomingMessage, socket: Duplex): void {
  socket.on('error', () => {});
  answerAndClose(socket as Socket, 501);
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

function answerAndClose(socket: Socket, status: number): void {
  const problem = createProblem(status, getTraceId(childTraceparent())!);
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
  // Closes even if the client keeps its side open.
  socket.destroySoon();
}
