import { setTimeout as pause } from 'node:timers/promises';
import { type Workload, type WorkloadOptions } from '@jogakbo/chaos/src/chaos-module.ts';
import { Random } from '@jogakbo/chaos/src/random.ts';
import { Client } from './client.ts';
import { type PurchaseRequest } from './purchase-log.ts';

/** Price of each product. A free product needs no payment. */
const prices = [12_000, 12_000, 12_000, 0];
const pieces = 100_000;

interface Product {
  productId: string;
  price: number;
}

interface Purchase extends Product {
  key: string;
  quantity: number;
  /** Undefined for a free product. */
  token: string | undefined;
  /** Seconds to wait for the outcome. 0 does not wait. */
  wait: number;
}

/** One in five has a provider failure: slow, two errors, or a charge without a response. */
const cards = [
  ...Array<string>(16).fill('tok_ok'),
  'tok_flaky',
  'tok_flaky',
  'tok_commit_then_drop',
  'tok_timeout',
];
const badCards = ['tok_declined', 'tok_insufficient_funds'];

/** Members who buy, cancel, pay with a declined card, repeat requests and read, until the workload is closed. */
export class Purchases implements Workload {
  readonly #options: WorkloadOptions<PurchaseRequest>;
  readonly #closing = new AbortController();
  readonly #aborting = new AbortController();
  #products: Product[] = [];
  #shopping: Promise<unknown> = Promise.resolve();

  constructor(options: WorkloadOptions<PurchaseRequest>) {
    this.#options = options;
  }

  /** Creates the products and members, and starts the members. */
  async open(): Promise<void> {
    const { store, seed, clients } = this.#options;
    const merchant = this.#createClient(store.getLogin('merchant'));
    await merchant.signIn();
    const random = new Random(seed, 'merchant');
    for (const price of prices)
      this.#products.push({ productId: await this.#createProduct(merchant, random, price), price });
    const members = await Promise.all(Array.from({ length: clients }, (_, i) => this.#createMember(i)));
    this.#shopping = Promise.all(
      members.map((client, i) => this.#shop(client, merchant, new Random(seed, `shopper ${i}`))),
    );
  }

  #createClient(login: { email: string; password: string }): Client {
    const { store, log } = this.#options;
    return new Client(store.url, log, login, this.#aborting.signal);
  }

  async #createProduct(merchant: Client, random: Random, price: number): Promise<string> {
    const product = {
      sku: `CHAOS-${random.uuid().slice(0, 8)}`,
      name: '조각보',
      description: '모시 조각보',
      category: 'chaos',
      price: { amount: price, currency: 'KRW' },
    };
    const request = { method: 'POST', path: '/v1/products', body: product };
    const key = random.uuid();
    const answer = await merchant.requestUntilAnswered(
      { what: 'receive', key },
      { ...request, headers: { 'idempotency-key': key } },
    );
    const productId = answer?.body?.productId as string | undefined;
    if (!productId) throw new Error(`the product could not be created: ${JSON.stringify(answer)}`);
    // Inventory receives the event of a new product a moment later.
    for (let tries = 0; tries < 100; tries += 1, await pause(100)) {
      if ((await this.#receive(merchant, random.uuid(), productId, pieces))?.status === 201) return productId;
    }
    throw new Error('inventory has not received the event of the new product');
  }

  #receive(merchant: Client, key: string, productId: string, quantity: number) {
    const path = `/v1/stock/${productId}/receipts`;
    const headers = { 'idempotency-key': key };
    return merchant.requestUntilAnswered(
      { what: 'receive', key, productId, quantity },
      { method: 'POST', path, headers, body: { quantity } },
    );
  }

  async #createMember(index: number): Promise<Client> {
    const login = { email: `member-${index}@example.com`, password: `password of member ${index}` };
    const client = this.#createClient(login);
    await client.signUp(`Member ${index}`);
    return client;
  }

  async #shop(client: Client, merchant: Client, random: Random): Promise<void> {
    const mine: string[] = [];
    while (!this.#closing.signal.aborted) {
      const draw = random.next();
      if (draw < 0.6)
        mine.push(...(await this.#place(client, this.#drawPurchase(random, random.pick(cards)))));
      else if (draw < 0.7) await this.#cancel(client, random);
      else if (draw < 0.8) await this.#place(client, this.#drawPurchase(random, random.pick(badCards)));
      else if (draw < 0.9) await this.#repeatRequest(client, merchant, random);
      else await this.#read(client, random, mine);
      await pause(random.between(50, 400), undefined, { signal: this.#closing.signal }).catch(
        () => undefined,
      );
    }
  }

  #drawPurchase(random: Random, token: string): Purchase {
    const product = random.pick(this.#products);
    return {
      key: random.uuid(),
      ...product,
      quantity: 1 + Math.floor(random.next() * 3),
      token: product.price > 0 ? token : undefined,
      wait: random.next() < 0.3 ? 4 : 0,
    };
  }

  /** @returns the id of the order; empty if aborted */
  async #place(client: Client, purchase: Purchase): Promise<string[]> {
    const { key, productId, price, quantity, token, wait } = purchase;
    const answer = await client.requestUntilAnswered(
      { what: 'place', key, productId, quantity, token },
      {
        method: 'POST',
        path: '/v1/orders',
        headers: { 'idempotency-key': key, ...(wait > 0 && { prefer: `wait=${wait}` }) },
        body: {
          lines: [{ productId, quantity, priceVersion: 1 }],
          expectedTotal: { amount: price * quantity, currency: 'KRW' },
          // The address holds the key too, so that the check can find the request of each order.
          shipTo: { name: 'Kim Jogak', line1: key, city: 'Seoul', postalCode: '03000', country: 'KR' },
          ...(token && { payment: { token } }),
        },
      },
    );
    return typeof answer?.body?.orderId === 'string' ? [answer.body.orderId] : [];
  }

  async #cancel(client: Client, random: Random): Promise<void> {
    const delay = random.between(0, 200);
    for (const orderId of await this.#place(client, { ...this.#drawPurchase(random, 'tok_ok'), wait: 0 })) {
      await pause(delay);
      const path = `/v1/orders/${orderId}/cancellation`;
      await client.requestUntilAnswered({ what: 'cancel', orderId }, { method: 'POST', path });
    }
  }

  /** Sends three requests with the same key at the same time, and a fourth after their responses. */
  async #repeatRequest(client: Client, merchant: Client, random: Random): Promise<void> {
    const purchase = this.#drawPurchase(random, 'tok_ok');
    const receiptKey = random.uuid();
    const receive = () => this.#receive(merchant, receiptKey, purchase.productId, purchase.quantity);
    const send = () => (purchase.wait > 0 ? receive() : this.#place(client, purchase));
    await Promise.all([send(), send(), send()]);
    await send();
  }

  async #read(client: Client, random: Random, mine: string[]): Promise<void> {
    const { productId } = random.pick(this.#products);
    await client.requestOnce(
      { what: 'read-stock', productId },
      { method: 'GET', path: `/v1/stock/${productId}` },
    );
    await client.requestOnce({ what: 'read-orders' }, { method: 'GET', path: '/v1/orders?limit=10' });
    const orderId = random.pick(mine);
    if (orderId)
      await client.requestOnce(
        { what: 'read-order', orderId },
        { method: 'GET', path: `/v1/orders/${orderId}` },
      );
  }

  /** Starts no new requests. Resolves when all open requests have their final response. */
  close(): Promise<unknown> {
    this.#closing.abort();
    return this.#shopping;
  }

  /** Stops repeating open requests. */
  abort(): Promise<unknown> {
    this.#closing.abort();
    this.#aborting.abort();
    return this.#shopping;
  }
}
