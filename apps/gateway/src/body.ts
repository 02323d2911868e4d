import type { IncomingMessage } from 'node:http';
import { Rejection } from '@jogakbo/contract';
import { parse } from 'secure-json-parse';
import type { RequestContext } from './request-context.ts';
import { form } from './pages.ts';

const unsupported = (detail: string) => new Rejection('unsupported-media-type', 415, detail);
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Whether there is one: what is sent with GET means nothing. */
export const hasBody = ({ method, headers }: RequestContext): boolean =>
  method !== 'GET' &&
  method !== 'HEAD' &&
  (headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0');

/**
 * JSON in UTF-8 is the only thing that is read, and what is sent to pages, which is forms, is passed on as it is.
 * @param limit bytes
 * @returns undefined where nothing came
 * @throws Rejection `unsupported-media-type`, `payload-too-large`, `invalid-encoding`, `invalid-json`; so is what would
 *   poison a prototype
 */
export async function readBody(context: RequestContext, limit: number): Promise<unknown> {
  const isForm = context.admitted.route.pages !== undefined;
  mustBeReadable(context, isForm ? form : 'application/json');
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
    throw unsupported('what is sent must not be compressed');
  }
  const type = given.split(';', 1)[0]!.trim().toLowerCase();
  if (type !== wanted) throw unsupported(`what is sent must be ${wanted}`);
  for (const [, charset] of given.matchAll(/;\s*charset\s*=\s*"?([^\s";]*)/gi))
    if (charset!.toLowerCase() !== 'utf-8') throw unsupported('what is sent must be UTF-8');
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
    throw new Rejection('invalid-encoding', 400, 'what is percent-encoded must be valid UTF-8');
  }
}

async function readBytes(context: RequestContext, limit: number): Promise<Buffer> {
  const { request } = context;
  const tooLarge = () => {
    // More may come than anybody wants to keep.
    request.resume();
    context.header('connection', 'close');
    return new Rejection('payload-too-large', 413, `not more than ${limit} bytes`);
  };
  if (Number(context.headers['content-length']) > limit) throw tooLarge();
  context.askForBody();
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of readPieces(request)) {
    length += chunk.length;
    if (length > limit) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}

/** Leaving off early leaves the request as it is: it is answered yet. */
const readPieces = (request: IncomingMessage) =>
  request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
