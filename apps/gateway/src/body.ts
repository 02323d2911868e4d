import type { IncomingMessage } from 'node:http';
import { Rejection } from '@jogakbo/contract';
import { parse } from 'secure-json-parse';
import type { RequestContext } from './request-context.ts';
import { formType } from './pages.ts';

const createUnsupported = (detail: string) => new Rejection('unsupported-media-type', 415, detail);
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Whether the request has a body. A body of GET or HEAD is ignored. */
export const hasBody = ({ method, headers }: RequestContext): boolean =>
  method !== 'GET' &&
  method !== 'HEAD' &&
  (headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0');

/**
 * Reads JSON in UTF-8. Forms sent to pages are returned unparsed.
 * @param limit bytes
 * @returns undefined if the body is empty
 * @throws Rejection `unsupported-media-type`, `payload-too-large`, `invalid-encoding`, or `invalid-json`, also for keys
 *   that would cause prototype pollution
 */
export async function readBody(context: RequestContext, limit: number): Promise<unknown> {
  const isForm = context.admitted.route.pages !== undefined;
  mustBeReadable(context, isForm ? formType : 'application/json');
  const text = decode(await readBytes(context, limit));
  if (text === '') return undefined;
  if (isForm) return mustBeForm(text);
  try {
    return parse(text, { protoAction: 'error', constructorAction: 'error' }) as unknown;
  } catch {
    throw new Rejection('invalid-json', 400);
  }
}

/** @throws Rejection for another type, charset or content coding */
function mustBeReadable(context: RequestContext, wanted: string): void {
  const { 'content-type': given = '', 'content-encoding': coding = 'identity' } = context.headers;
  if (coding.trim().toLowerCase() !== 'identity') {
    context.header('accept-encoding', 'identity');
    throw createUnsupported('the body must not be compressed');
  }
  const type = given.split(';', 1)[0]!.trim().toLowerCase();
  if (type !== wanted) throw createUnsupported(`the content type must be ${wanted}`);
  for (const [, charset] of given.matchAll(/;\s*charset\s*=\s*"?([^\s";]*)/gi))
    if (charset!.toLowerCase() !== 'utf-8') throw createUnsupported('the charset must be UTF-8');
}

/** @throws Rejection */
function decode(bytes: Buffer): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new Rejection('invalid-encoding', 400, 'the body is not valid UTF-8');
  }
}

/** A form must decode to valid UTF-8, because the service decodes it later. @throws Rejection */
function mustBeForm(text: string): string {
  try {
    decodeURIComponent(text);
    return text;
  } catch {
    throw new Rejection('invalid-encoding', 400, 'percent-encoded text must be valid UTF-8');
  }
}

async function readBytes(context: RequestContext, limit: number): Promise<Buffer> {
  const { request } = context;
  const rejectAsTooLarge = () => {
    // Discards the rest of the body.
    request.resume();
    context.header('connection', 'close');
    return new Rejection('payload-too-large', 413, `at most ${limit} bytes`);
  };
  if (Number(context.headers['content-length']) > limit) throw rejectAsTooLarge();
  context.askForBody();
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of readChunks(request)) {
    length += chunk.length;
    if (length > limit) throw rejectAsTooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}

/** Keeps the request open if reading stops early, because the response is still to be sent. */
const readChunks = (request: IncomingMessage) =>
  request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
