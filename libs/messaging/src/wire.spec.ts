import { describe, expect, it } from '@jest/globals';
import { Rejection } from '@jogakbo/contract';
import type { ConsumeMessage } from 'amqplib';
import { answerTo, decode, decodeAll, decodeAnswers, RemoteFault, type Incoming } from './wire.ts';

const toError = (err: unknown) => {
  const content = Buffer.from(JSON.stringify({ id: '1', err }));
  const [answer] = decodeAnswers({
    content,
    properties: { correlationId: '1' },
  } as unknown as ConsumeMessage);
  return answer!.error;
};

describe('an answer that is an error', () => {
  it('is the "no" of a service, with when to come again', () => {
    const no = toError({ kind: 'rejection', code: 'sold-out', status: 409, message: 'gone', retryAfter: 3 });
    expect(no).toBeInstanceOf(Rejection);
    expect(no).toMatchObject({ code: 'sold-out', status: 409, message: 'gone', retryAfter: 3 });
  });

  it('is a rejection with its data for the client', () => {
    const answer = answerTo({ packetId: '1' } as Incoming, {
      error: new Rejection('price-changed', 409).with({ total: 2 }),
    }) as { err: unknown };
    expect(toError(JSON.parse(JSON.stringify(answer.err)))).toMatchObject({ extensions: { total: 2 } });
    expect(toError({ kind: 'rejection', code: 'sold-out', extensions: 'x' })).toMatchObject({
      extensions: undefined,
    });
  });

  it.each(['SOLD_OUT', 'orders.sold-out', 'soldOut', '품절'])(
    'is a "no" however its code is spelt: %s',
    (code) => {
      expect(toError({ kind: 'rejection', code, status: 409, message: 'no' })).toBeInstanceOf(Rejection);
    },
  );

  it('is a fault where it is of another kind', () => {
    expect(toError('it broke')).toMatchObject({ code: 'internal', answered: true });
    expect(toError({ kind: 'fault', code: 'timeout', message: 'late' })).toMatchObject({ code: 'timeout' });
  });

  it.each([undefined, null, 404, '', '\ud800', 'x'.repeat(101), {}])(
    'is a fault where nobody could show its code: %j',
    (code) => {
      const fault = toError({ kind: 'rejection', code, message: 'no' });
      expect(fault).toBeInstanceOf(RemoteFault);
      expect(fault).toMatchObject({ code: 'internal', answered: true });
    },
  );
});

describe('a body that is nested without end', () => {
  const nest = (depth: number): string => '{"a":'.repeat(depth) + '1' + '}'.repeat(depth);
  const message = (text: string, properties: object = {}) =>
    ({
      ...{ content: Buffer.from(text), fields: { exchange: 'commands', routingKey: 'shop.buy' } },
      properties: { correlationId: '1', headers: {}, ...properties },
    }) as unknown as ConsumeMessage;
  const standing = { login: 'shop', operator: undefined };
  const batch = { contentType: 'application/vnd.jogakbo.batch+json' };

  it.each([200, 12_000])('costs its sender the message, not its reader the stack: %i levels', (depth) => {
    const deep = `{"pattern":"shop.buy","data":${nest(depth)}}`;
    expect(() => decode(message(deep), standing)).toThrow('nested too deeply');
    expect(() => decodeAll(message(`[${deep}]`, batch), standing)).toThrow('nested too deeply');
    const no = `{"id":"1","err":{"kind":"rejection","code":"no","status":409,"extensions":${nest(depth)}}}`;
    for (const answer of [no, `{"id":"1","response":${nest(depth)}}`, `[${no}]`]) {
      const [{ error }] = decodeAnswers(message(answer)) as unknown as [{ error: RemoteFault }];
      expect(error).toMatchObject({ code: 'contract-broken', answered: true });
    }
  });

  it('is read as far as any contract goes', () => {
    const fine = `{"pattern":"shop.buy","data":${nest(40)},"more":"${'x'.repeat(2_000)}"}`;
    expect(decode(message(fine), standing).pattern).toBe('shop.buy');
  });
});
