import { expect, it } from '@jest/globals';
import { service } from '@jogakbo/contract';
import { end, saga } from '@jogakbo/consistency';
import { z } from 'zod';
import { assertAllHandled } from './bus.ts';
import { Service } from './service.ts';
import { start } from './start.ts';

const shop = service('shop');
const Open = shop.command('open', { input: z.strictObject({ shopId: z.string() }) });
shop.event('opened', z.object({ shopId: z.string() }));

@Service({ contract: shop, handlers: [] })
class ShopModule {}

it('a request without a handler ends the start before anything is opened', async () => {
  const environment = { RABBITMQ_URL: 'amqp://127.0.0.1:1', LOCAL_MODE: 'true' };
  await expect(start(ShopModule, { environment })).rejects.toThrow('no handler for shop.open');
});

it('a saga handles the command that starts it', () => {
  const opening = saga('opening', 'shopId').startedBy(Open, () => end());
  expect(() => assertAllHandled({ contract: shop, sagas: [opening] })).not.toThrow();
});
