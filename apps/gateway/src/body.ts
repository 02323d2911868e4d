import type { IncomingMessage } from 'node:http';
import { Rejection } from '@jogakbo/contract';
import { parse } from 'secure-json-parse';
import type { Exchange } from './exchange.ts';
import { form } from './pages.ts';

const unsupported = () =>
  new Rejection('unsupported-media-type', 415, 'what is sent must be of a type that is read here');

/** Whether there is one: what is sent with GET means nothing. */
export const hasBody = ({ method, headers }: Exchange): boolean =>
  method !== 'GET' &&
  method !== 'HEAD' &&
  (headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0');

/**
 * JSON is the only thing that is read, and what is sent to pages, which is forms, is passed on as it is.
 * @param limit bytes
 * @returns undefined where nothing came
 * @throws Rejection `unsupported-media-type`, `payload-too-large`, `invalid-json`; so is what would poison a prototype
 */
export async function readBody(exchange: Exchange, limit: number): Promise<unknown> {
  const type = exchange.headers['content-type']?.split(';', 1)[0]!.trim().toLowerCase();
  const isForm = exchange.admitted.route.pages !== undefined;
  if (type !== (isForm ? form : 'application/json')) throw unsupported();
  const text = await textOf(exchange, limit);
  if (text === '') return undefined;
  if (isForm) return text;
  try {
    return parse(text, { protoAction: 'error', constructorAction: 'error' }) as unknown;
  } catch {
    throw new Rejection('invalid-json', 400);
  }
}

async function textOf(exchange: Exchange, limit: number): Promise<string> {
  const { request } = exchange;
  const tooLarge = () => {
    // More may come than anybody wants to keep.
    request.resume();
    exchange.header('connection', 'close');
    return new Rejection('payload-too-large', 413, `not more than ${limit} bytes`);
  };
  if (Number(exchange.headers['content-length']) > limit) throw tooLarge();
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of piecesOf(request)) {
    length += chunk.length;
    if (length > limit) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/** Leaving off early leaves the request as it is: it is answered yet. */
const piecesOf = (request: IncomingMessage) =>
  request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
