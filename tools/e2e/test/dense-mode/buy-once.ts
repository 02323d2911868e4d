import { type Store } from '../../src/store.ts';

export async function buyOnce(store: Store): Promise<string> {
  const { token } = await store.createMember();
  const { status, body } = await store.buy(token, store.buildOrder(await store.createProduct(1)));
  return `${status} ${body.status}`;
}
