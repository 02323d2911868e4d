import { setTimeout as pause } from 'node:timers/promises';
import { Client } from './client.ts';
import { type ClientLog } from './client-log.ts';
import { Random } from './random.ts';

/** Of each product. What is free is bought without a payment. */
const prices = [12_000, 12_000, 12_000, 0];
const pieces = 100_000;

interface Product {
  productId: string;
  price: number;
}

interface Purchase extends Product {
  key: string;
  quantity: number;
  /** None where the product is free. */
  token: string | undefined;
  /** Seconds to wait for the end; 0 does not wait. */
  wait: number;
}

/** Mostly the card works; now and then its provider is slow, fails twice, or charges and hangs up. */
const cards = [
  ...Array<string>(16).fill('tok_ok'),
  'tok_flaky',
  'tok_flaky',
  'tok_commit_then_drop',
  'tok_timeout',
];
const badCards = ['tok_declined', 'tok_insufficient_funds'];

/** Members who buy, cancel, fail to pay, ask twice and look, until they are told to go home. */
export class Workload {
  readonly #log: ClientLog;
  readonly #url: string;
  readonly #seed: number;
  readonly #closing = new AbortController();
  readonly #givenUp = new AbortController();
  #products: Product[] = [];
  #shopping: Promise<unknown> = Promise.resolve();

  constructor(url: string, log: ClientLog, seed: number) {
    this.#url = url;
    this.#log = log;
    this.#seed = seed;
  }

  /** Puts the goods on the shelves, and lets the members in. */
  async open(merchantLogin: { email: string; password: string }, shoppers: number): Promise<void> {
    const merchant = new Client(this.#url, this.#log, merchantLogin, this.#givenUp.signal);
    await merchant.signIn();
    const random = new Random(this.#seed, 'merchant');
    for (const price of prices)
      this.#products.push({ productId: await this.#stockUp(merchant, random, price), price });
    const members = await Promise.all(Array.from({ length: shoppers }, (_, i) => this.#member(i)));
    this.#shopping = Promise.all(
      members.map((client, i) => this.#shop(client, merchant, new Random(this.#seed, `shopper ${i}`))),
    );
  }

  async #stockUp(merchant: Client, random: Random, price: number): Promise<string> {
    const product = {
      sku: `CHAOS-${random.uuid().slice(0, 8)}`,
      ...{ name: '조각보', description: '모시 조각보', category: 'chaos' },
      price: { amount: price, currency: 'KRW' },
    };
    const request = { method: 'POST', path: '/v1/products', body: product };
    const key = random.uuid();
    const answer = await merchant.insist(
      { what: 'receive', key },
      { ...request, headers: { 'idempotency-key': key } },
    );
    const productId = answer?.body?.productId as string | undefined;
    if (!productId) throw new Error(`no product could be made: ${JSON.stringify(answer)}`);
    // Inventory hears of a new product a moment later.
    for (let tries = 0; tries < 100; tries += 1, await pause(100)) {
      if ((await this.#receive(merchant, random.uuid(), productId, pieces))?.status === 201) return productId;
    }
    throw new Error('inventory did not hear of a new product');
  }

  #receive(merchant: Client, key: string, productId: string, quantity: number) {
    const path = `/v1/stock/${productId}/receipts`;
    const headers = { 'idempotency-key': key };
    return merchant.insist(
      { what: 'receive', key, productId, quantity },
      { method: 'POST', path, headers, body: { quantity } },
    );
  }

  async #member(index: number): Promise<Client> {
    const login = { email: `member-${index}@example.com`, password: `password of member ${index}` };
    const client = new Client(this.#url, this.#log, login, this.#givenUp.signal);
    await client.signUp(`Member ${index}`);
    return client;
  }

  async #shop(client: Client, merchant: Client, random: Random): Promise<void> {
    const mine: string[] = [];
    while (!this.#closing.signal.aborted) {
      const mood = random.next();
      if (mood < 0.6) mine.push(...(await this.#place(client, this.#purchase(random, random.pick(cards)))));
      else if (mood < 0.7) await this.#cancel(client, random);
      else if (mood < 0.8) await this.#place(client, this.#purchase(random, random.pick(badCards)));
      else if (mood < 0.9) await this.#askTwice(client, merchant, random);
      else await this.#look(client, random, mine);
      await pause(random.between(50, 400), undefined, { signal: this.#closing.signal }).catch(
        () => undefined,
      );
    }
  }

  #purchase(random: Random, token: string): Purchase {
    const product = random.pick(this.#products);
    return {
      key: random.uuid(),
      ...product,
      quantity: 1 + Math.floor(random.next() * 3),
      token: product.price > 0 ? token : undefined,
      wait: random.next() < 0.3 ? 4 : 0,
    };
  }

  /** @returns the order's id, or nothing where it was given up */
  async #place(client: Client, purchase: Purchase): Promise<string[]> {
    const { key, productId, price, quantity, token, wait } = purchase;
    const answer = await client.insist(
      { what: 'place', key, productId, quantity, token },
      {
        ...{ method: 'POST', path: '/v1/orders' },
        headers: { 'idempotency-key': key, ...(wait > 0 && { prefer: `wait=${wait}` }) },
        body: {
          lines: [{ productId, quantity, priceVersion: 1 }],
          expectedTotal: { amount: price * quantity, currency: 'KRW' },
          // The key is written on the parcel too: thus every order tells, by itself, which request it comes of.
          shipTo: { name: 'Kim Jogak', line1: key, city: 'Seoul', postalCode: '03000', country: 'KR' },
          ...(token && { payment: { token } }),
        },
      },
    );
    return typeof answer?.body?.orderId === 'string' ? [answer.body.orderId] : [];
  }

  async #cancel(client: Client, random: Random): Promise<void> {
    const delay = random.between(0, 200);
    for (const orderId of await this.#place(client, { ...this.#purchase(random, 'tok_ok'), wait: 0 })) {
      await pause(delay);
      const path = `/v1/orders/${orderId}/cancellation`;
      await client.insist({ what: 'cancel', orderId }, { method: 'POST', path });
    }
  }

  /** The same key at the same time, and once more when all are answered. */
  async #askTwice(client: Client, merchant: Client, random: Random): Promise<void> {
    const purchase = this.#purchase(random, 'tok_ok');
    const receiptKey = random.uuid();
    const receive = () => this.#receive(merchant, receiptKey, purchase.productId, purchase.quantity);
    const ask = () => (purchase.wait > 0 ? receive() : this.#place(client, purchase));
    await Promise.all([ask(), ask(), ask()]);
    await ask();
  }

  async #look(client: Client, random: Random, mine: string[]): Promise<void> {
    const { productId } = random.pick(this.#products);
    await client.once({ what: 'read-stock', productId }, { method: 'GET', path: `/v1/stock/${productId}` });
    await client.once({ what: 'read-orders' }, { method: 'GET', path: '/v1/orders?limit=10' });
    const orderId = random.pick(mine);
    if (orderId)
      await client.once({ what: 'read-order', orderId }, { method: 'GET', path: `/v1/orders/${orderId}` });
  }

  /** Nothing new is begun; what is open is asked for until it is answered. @returns when the last one is home */
  close(): Promise<unknown> {
    this.#closing.abort();
    return this.#shopping;
  }

  /** What is unanswered now stays so. */
  giveUp(): Promise<unknown> {
    this.#closing.abort();
    this.#givenUp.abort();
    return this.#shopping;
  }
}
