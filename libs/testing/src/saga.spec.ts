import { describe, expect, it } from '@jest/globals';
import { end, saga, to } from '@jogakbo/consistency';
import { service } from '@jogakbo/contract';
import { z } from 'zod';
import { given } from './saga.ts';

const shop = service('shop');
const input = z.strictObject({ loanId: z.string() });
const Placed = shop.event('placed', input);
const Packed = shop.event('packed', input);
const Lost = shop.event('lost', input);
const Pack = shop.command('pack', { input });
const Ship = shop.command('ship', { input });
const Bill = shop.command('bill', { input });

const delivery = saga('delivery', 'loanId')
  .startedBy(Placed, ({ loanId }) => to({}, Pack({ loanId })))
  .on(Packed, ({ loanId }) => end(Ship({ loanId }), Bill({ loanId })))
  .on(Lost, (_, state) => to(state));
const [one, two] = [{ loanId: '1' }, { loanId: '2' }];

describe('given().when()', () => {
  const packed = () => given(delivery, Placed(one)).when(Packed(one));

  it('accepts exactly the sent commands, in any order', () => {
    given(delivery).when(Placed(one)).sends(Pack(one));
    packed().sends(Ship(one), Bill(one)).ends();
    packed().sends(Bill(one), Ship(one));
    given(delivery, Placed(one)).when(Lost(one)).sendsNothing();
    given(delivery, Placed(one), Packed(one)).when(Lost(one)).sendsNothing();
  });

  it.each<[string, () => unknown, string]>([
    ['an extra command', () => packed().sends(Ship(one)), 'also sent: shop.bill {"loanId":"1"}'],
    ['an extra command before the end', () => packed().ends().sends(Ship(one)), 'also sent: shop.bill'],
    ['any command where none is expected', () => packed().sendsNothing(), 'also sent: shop.ship'],
    [
      'a missing command',
      () => given(delivery).when(Placed(one)).sends(Pack(one), Ship(one)),
      'sent: shop.pack',
    ],
    [
      'a command that is sent once and expected twice',
      () => packed().sends(Ship(one), Ship(one)),
      'to be sent',
    ],
    [
      'other data',
      () => given(delivery).when(Placed(one)).sends(Pack(two)),
      'expected shop.pack {"loanId":"2"}',
    ],
    ['a saga that continues', () => given(delivery).when(Placed(one)).ends(), 'expected the saga to end'],
    ['a saga that has not started', () => given(delivery).when(Packed(one)), 'must be shop.placed'],
  ])('rejects %s', (_, check, message) => expect(check).toThrow(message));
});
