// Type tests: each @ts-expect-error marks code that must not compile.
import { service } from '@jogakbo/contract';
import { z } from 'zod';
import { end, saga, to } from './saga.ts';

const shop = service('shop');
const Started = shop.event('started', z.object({ orderId: z.string(), total: z.int() }));
const Paid = shop.event('paid', z.object({ orderId: z.string() }));
const Unrelated = shop.event('unrelated', z.object({ stockId: z.string() }));
const Order = shop.command('order', { input: z.strictObject({ orderId: z.string() }) });
const Ship = shop.command('ship', { input: z.strictObject({ orderId: z.string() }) });

const started = saga('delivery', 'orderId').startedBy(Started, ({ total }) => to({ total }));
saga('delivery', 'orderId').startedBy(Order, ({ orderId }) => to({}, Ship({ orderId })));
export const ok = started.on(Paid, ({ orderId }, state) =>
  state.total > 0 ? end(Ship({ orderId })) : to(state),
);

// @ts-expect-error an event that does not carry the key
started.on(Unrelated, (_, state) => to(state));
// @ts-expect-error a state that the saga does not have
started.on(Paid, (_, state) => to({ sum: state.total }));
// @ts-expect-error a step that sends an event in place of a command
started.on(Paid, ({ orderId }, state) => to(state, Paid({ orderId })));
// @ts-expect-error a command without its key
started.on(Paid, () => end(Ship({})));
