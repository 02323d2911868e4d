import { describe, expect, it } from '@jest/globals';
import { Rejection } from '@jogakbo/contract';
import type { ConsumeMessage } from 'amqplib';
import { decodeAnswers, encodeAnswer } from './answer-encoding.ts';
import { decode, decodeAll } from './decoding.ts';
import { RemoteFault } from './faults.ts';

const toError = (err: unknown) => {
  const content = Buffer.from(JSON.stringify({ id: '1', err }));
  const [answer] = decodeAnswers({
    content,
    properties: { correlationId: '1' },
  } as unknown as ConsumeMessage);
  return answer!.error;
};

describe('an answer with an error', () => {
  it('is a rejection, with the time until a retry', () => {
    const rejection = toError({
      kind: 'rejection',
      code: 'sold-out',
      status: 409,
      message: 'gone',
      retryAfter: 3,
    });
    expect(rejection).toBeInstanceOf(Rejection);
    expect(rejection).toMatchObject({ code: 'sold-out', status: 409, message: 'gone', retryAfter: 3 });
  });

  it('is a rejection, with its data for the client', () => {
    const answer = encodeAnswer(
      { packetId: '1' },
      { error: new Rejection('price-changed', 409).with({ total: 2 }) },
    );
    const { err } = JSON.parse(answer) as { err: unknown };
    expect(toError(err)).toMatchObject({ extensions: { total: 2 } });
    expect(toError({ kind: 'rejection', code: 'sold-out', extensions: 'x' })).toMatchObject({
      extensions: undefined,
    });
  });

  it.each(['SOLD_OUT', 'loans.sold-out', 'soldOut', '품절'])(
    'is a rejection with any spelling of its code: %s',
    (code) => {
      expect(toError({ kind: 'rejection', code, status: 409, message: 'no' })).toBeInstanceOf(Rejection);
    },
  );

  it('is a fault if it has another kind', () => {
    expect(toError('it broke')).toMatchObject({ code: 'internal', answered: true });
    expect(toError({ kind: 'fault', code: 'timeout', message: 'late' })).toMatchObject({ code: 'timeout' });
  });

  it.each([undefined, null, 404, '', '\ud800', 'x'.repeat(101), {}])(
    'is a fault if its code cannot be displayed: %j',
    (code) => {
      const fault = toError({ kind: 'rejection', code, message: 'no' });
      expect(fault).toBeInstanceOf(RemoteFault);
      expect(fault).toMatchObject({ code: 'internal', answered: true });
    },
  );
});

describe('a deeply nested body', () => {
  const nest = (depth: number): string => '{"a":'.repeat(depth) + '1' + '}'.repeat(depth);
  const message = (text: string, properties: object = {}) =>
    ({
      ...{ content: Buffer.from(text), fields: { exchange: 'commands', routingKey: 'shop.buy' } },
      properties: { correlationId: '1', headers: {}, ...properties },
    }) as unknown as ConsumeMessage;
  const identity = { login: 'shop', operator: undefined };
  const batch = { contentType: 'application/vnd.jogakbo.batch+json' };

  it.each([200, 12_000])('is rejected without a stack overflow: %i levels', (depth) => {
    const deep = `{"pattern":"shop.buy","data":${nest(depth)}}`;
    expect(() => decode(message(deep), identity)).toThrow('nested too deeply');
    expect(() => decodeAll(message(`[${deep}]`, batch), identity)).toThrow('nested too deeply');
    const failed = `{"id":"1","err":{"kind":"rejection","code":"no","status":409,"extensions":${nest(depth)}}}`;
    for (const answer of [failed, `{"id":"1","response":${nest(depth)}}`, `[${failed}]`]) {
      const [{ error }] = decodeAnswers(message(answer)) as unknown as [{ error: RemoteFault }];
      expect(error).toMatchObject({ code: 'contract-broken', answered: true });
    }
  });

  it('is accepted up to the depth of any contract', () => {
    const fine = `{"pattern":"shop.buy","data":${nest(40)},"more":"${'x'.repeat(2_000)}"}`;
    expect(decode(message(fine), identity).pattern).toBe('shop.buy');
  });
});

describe('a received message', () => {
  const identity = { login: 'shop', operator: undefined };
  const create = (body: unknown, properties: object = {}) =>
    ({
      ...{ content: Buffer.from(JSON.stringify(body)), fields: {} },
      properties: { headers: {}, ...properties },
    }) as unknown as ConsumeMessage;
  const batch = { contentType: 'application/vnd.jogakbo.batch+json' };
  const look = { pattern: 'shop.look', data: {} };

  it.each([null, 1, 'text'])('is unreadable if its body is %j', (body) => {
    expect(() => decode(create(body), identity)).toThrow(SyntaxError);
    expect(() => decodeAll(create([body], batch), identity)).toThrow(SyntaxError);
  });

  it('is unreadable if an item of a batch has no id: such messages would be duplicates of each other', () => {
    expect(() => decodeAll(create([look], batch), identity)).toThrow('an item of the batch has no id');
    const { readable } = decodeAll(create([{ ...look, id: '7' }], batch), identity);
    expect(readable[0]).toMatchObject({ messageId: '7', correlationId: '7', packetId: '7' });
  });

  it.each([NaN, Infinity, '1'])(
    'has no deadline if the header is %p: it would end in later messages',
    (deadline) => {
      expect(decode(create(look, { headers: { deadline } }), identity).callContext.deadline).toBeUndefined();
    },
  );

  it('has a member only in the form that the gateway sends', () => {
    const decodeCaller = (caller: string) =>
      decode(create(look, { headers: { caller } }), identity).callContext;
    const member = { memberId: 'm', roles: ['moderator'], sessionId: 's', authTime: 1 };
    expect(decodeCaller(JSON.stringify(member))).toMatchObject({ caller: member });
    for (const invalid of [
      '{"memberId":"alice"',
      '{}',
      '{"memberId":"alice"}',
      '{"memberId":"alice","roles":[1]}',
    ])
      expect(() => decodeCaller(invalid)).toThrow(new SyntaxError('the header caller is not a member'));
  });
});
