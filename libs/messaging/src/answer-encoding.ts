import { Rejection, type FieldError } from '@jogakbo/contract';
import type { ConsumeMessage, Options } from 'amqplib';
import type { Incoming } from './decoding.ts';
import { RemoteFault } from './faults.ts';
import { getContentType, isTooDeep, parseBody, parseData } from './json-body.ts';
import { batchType } from './message-headers.ts';

/** The field `err` of an answer. */
interface WireError {
  kind: 'rejection' | 'fault';
  code: string;
  message: string;
  status?: number;
  errors?: FieldError[];
  retryAfter?: number | undefined;
  extensions?: Readonly<Record<string, unknown>> | undefined;
}

/** The return value of a handler, or its error. */
export type HandlerOutcome = { response: unknown } | { error: unknown };

/** Encodes an answer as Nest's packet. @throws TypeError if JSON cannot represent the response, for example a BigInt */
export function encodeAnswer({ packetId: id }: Pick<Incoming, 'packetId'>, outcome: HandlerOutcome): string {
  if ('error' in outcome) return JSON.stringify({ id, err: toWire(outcome.error), isDisposed: true });
  const { response } = outcome;
  return JSON.stringify({ id, response: response ?? null, isDisposed: true, ...getContentType(response) });
}

/** Encodes answers as one message: a single one as it is, several as a batch. */
export function encodeAnswers(answers: { correlationId: string | undefined; packet: string }[]): {
  content: Buffer;
  options: Options.Publish;
} {
  const [{ correlationId, packet }] = answers as [(typeof answers)[0]];
  return answers.length === 1
    ? {
        content: Buffer.from(packet),
        options: { correlationId, contentType: 'application/json' },
      }
    : {
        content: Buffer.from(`[${answers.map(({ packet }) => packet).join()}]`),
        options: { contentType: batchType },
      };
}

interface Packet {
  id?: string;
  err?: WireError | string;
  response?: unknown;
  datacontenttype?: unknown;
}

/** Decodes the answers of a message, each with the id of its request, and its response or its error. */
export function decodeAnswers({ content, properties }: ConsumeMessage): {
  id: string;
  response?: unknown;
  error?: Rejection | RemoteFault;
}[] {
  const packets = parseBody(content) as Packet | Packet[];
  // The caller fails at once: encoding such an answer again would exhaust the stack.
  const readSafely = (packet: Packet) =>
    isTooDeep(content, packet)
      ? { error: new RemoteFault('contract-broken', 'the answer is nested too deeply', true) }
      : readAnswer(packet);
  if (Array.isArray(packets))
    return packets.map((packet) => ({ id: String(packet.id), ...readSafely(packet) }));
  return [{ id: properties.correlationId as string, ...readSafely(packets) }];
}

function readAnswer({
  err,
  response,
  datacontenttype,
}: Packet): { response: unknown } | { error: Rejection | RemoteFault } {
  if (!err) return { response: parseData(datacontenttype, response) };
  // A stock Nest server sends a string or an object of its own format.
  if (typeof err === 'string') return { error: new RemoteFault('internal', err, true) };
  const { kind, message = 'the service failed', status = 422, errors, retryAfter, extensions } = err;
  const code = isCode(err.code) ? err.code : undefined;
  if (kind !== 'rejection' || !code) return { error: new RemoteFault(code ?? 'internal', message, true) };
  const rejection = new Rejection(code, status, message, errors);
  if (extensions && typeof extensions === 'object') rejection.with(extensions);
  return { error: retryAfter === undefined ? rejection : rejection.until(retryAfter) };
}

/** Any spelling is accepted, but a code must fit into URLs and titles. */
const isCode = (code: unknown): code is string =>
  typeof code === 'string' && code !== '' && code.length <= 100 && code.isWellFormed();

function toWire(error: unknown): WireError {
  if (error instanceof Rejection) {
    const { code, message, status, errors, retryAfter, extensions } = error;
    return { kind: 'rejection', code, message, status, ...(errors && { errors }), retryAfter, extensions };
  }
  // A fault reveals no internals: the cause is in the log, with the same trace id.
  if (error instanceof RemoteFault) return { kind: 'fault', code: error.code, message: error.message };
  return { kind: 'fault', code: 'internal', message: 'the service failed' };
}
