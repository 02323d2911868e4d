// Type tests: each @ts-expect-error marks code that must not compile.
import { service } from '@jogakbo/contract';
import { z } from 'zod';
import { end, saga, to } from './saga.ts';

const shop = service('shop');
const Started = shop.event('started', z.object({ loanId: z.string(), total: z.int() }));
const Paid = shop.event('paid', z.object({ loanId: z.string() }));
const Unrelated = shop.event('unrelated', z.object({ tomeId: z.string() }));
const Lend = shop.command('lend', { input: z.strictObject({ loanId: z.string() }) });
const Ship = shop.command('ship', { input: z.strictObject({ loanId: z.string() }) });

const started = saga('delivery', 'loanId').startedBy(Started, ({ total }) => to({ total }));
saga('delivery', 'loanId').startedBy(Lend, ({ loanId }) => to({}, Ship({ loanId })));
export const ok = started.on(Paid, ({ loanId }, state) =>
  state.total > 0 ? end(Ship({ loanId })) : to(state),
);

// @ts-expect-error an event that does not carry the key
started.on(Unrelated, (_, state) => to(state));
// @ts-expect-error a state that the saga does not have
started.on(Paid, (_, state) => to({ sum: state.total }));
// @ts-expect-error a step that sends an event in place of a command
started.on(Paid, ({ loanId }, state) => to(state, Paid({ loanId })));
// @ts-expect-error a command without its key
started.on(Paid, () => end(Ship({})));
