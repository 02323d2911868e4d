import { isUtf8 } from 'node:buffer';
import { isDeeperThan } from '@jogakbo/contract';
import { Jwe, jose } from './encryption.ts';

/** Deeper than any valid message, and far below a depth that exhausts the stack of a reader or writer. */
const maxDepth = 64;
/**
 * Smaller messages are not checked, for speed: they nest at most 500 objects or 1,000 arrays. That is more than `maxDepth`, but
 * exhausts no stack, and the limit protects only the stack.
 */
const uncheckedBytes = 1_000;

/** Whether a body is nested too deeply to be read or written safely. */
export const isTooDeep = (content: Buffer, body: unknown): boolean =>
  content.length > uncheckedBytes && isDeeperThan(maxDepth, body);

/**
 * @throws SyntaxError if it is not JSON in UTF-8: lenient decoding would change the text. The message does not quote the
 *   body, because it is logged
 */
export function parseBody(content: Buffer): unknown {
  if (!isUtf8(content)) throw new SyntaxError('the body is not valid UTF-8');
  try {
    return JSON.parse(content.toString());
  } catch {
    throw new SyntaxError('the body is not JSON');
  }
}

/** @throws SyntaxError if it is not JSON in UTF-8, or nested too deeply */
export function parseMessage(content: Buffer): unknown {
  const body = parseBody(content);
  if (isTooDeep(content, body)) throw new SyntaxError('the body is nested too deeply');
  return body;
}

/** The CloudEvents attribute of encrypted data; empty for other data. */
export const getContentType = (data: unknown) => (data instanceof Jwe ? { datacontenttype: jose } : {});

/** Reads the data of a message or an answer: a `Jwe` if it is encrypted. */
export const parseData = (contentType: unknown, data: unknown): unknown =>
  contentType === jose && typeof data === 'string' ? new Jwe(data) : data;
