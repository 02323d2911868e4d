import { describe, expect, it } from '@jest/globals';
import { Rejection } from '@jogakbo/contract';
import type { ConsumeMessage } from 'amqplib';
import { answerTo, decodeAnswers, RemoteFault, type Incoming } from './wire.ts';

const errorOf = (err: unknown) => {
  const content = Buffer.from(JSON.stringify({ id: '1', err }));
  const [answer] = decodeAnswers({
    content,
    properties: { correlationId: '1' },
  } as unknown as ConsumeMessage);
  return answer!.error;
};

describe('an answer that is an error', () => {
  it('is the "no" of a service, with when to come again', () => {
    const no = errorOf({ kind: 'rejection', code: 'sold-out', status: 409, message: 'gone', retryAfter: 3 });
    expect(no).toBeInstanceOf(Rejection);
    expect(no).toMatchObject({ code: 'sold-out', status: 409, message: 'gone', retryAfter: 3 });
  });

  it('is a rejection with its data for the client', () => {
    const answer = answerTo({ packetId: '1' } as Incoming, {
      error: new Rejection('price-changed', 409).with({ total: 2 }),
    }) as { err: unknown };
    expect(errorOf(JSON.parse(JSON.stringify(answer.err)))).toMatchObject({ extensions: { total: 2 } });
    expect(errorOf({ kind: 'rejection', code: 'sold-out', extensions: 'x' })).toMatchObject({
      extensions: undefined,
    });
  });

  it.each(['SOLD_OUT', 'orders.sold-out', 'soldOut', '품절'])(
    'is a "no" however its code is spelt: %s',
    (code) => {
      expect(errorOf({ kind: 'rejection', code, status: 409, message: 'no' })).toBeInstanceOf(Rejection);
    },
  );

  it('is a fault where it is of another kind', () => {
    expect(errorOf('it broke')).toMatchObject({ code: 'internal', answered: true });
    expect(errorOf({ kind: 'fault', code: 'timeout', message: 'late' })).toMatchObject({ code: 'timeout' });
  });

  it.each([undefined, null, 404, '', '\ud800', 'x'.repeat(101), {}])(
    'is a fault where nobody could show its code: %j',
    (code) => {
      const fault = errorOf({ kind: 'rejection', code, message: 'no' });
      expect(fault).toBeInstanceOf(RemoteFault);
      expect(fault).toMatchObject({ code: 'internal', answered: true });
    },
  );
});
