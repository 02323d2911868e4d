import { randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { freePort } from '../src/supervisor/ports.ts';
import { openState } from '../src/supervisor/state.ts';
import { readStaff } from '../src/supervisor/staff.ts';
import { Jogakbo, until } from './jogakbo.ts';

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  /** Undefined where the answer is not JSON, or empty. */
  body: any; // eslint-disable-line @typescript-eslint/no-explicit-any -- whatever the store says
}

interface Call {
  token?: string | undefined;
  body?: unknown;
  headers?: Record<string, string>;
  /** Another gateway than the store's first. */
  url?: string;
}

export interface Mail {
  to: string;
  subject: string;
  messageId: string;
}

/** The real store in a folder of its own, met as a client meets it: over HTTP, at its gateway. */
export class Store extends Jogakbo {
  #staff = new Map<string, string>();
  /** What the start said. */
  screen = '';

  /** @param env settings of its services that are not as usual */
  async start(options: string[] = [], env: NodeJS.ProcessEnv = {}): Promise<void> {
    await this.make();
    const { code, output } = await this.run(['start', '--detach', ...options], {
      // Eureka's own would be taken by another store while this one is without its registry.
      ...{ REGISTRY_PORT: String(await freePort(28_000, 32_000)), ...env },
    });
    if (code !== 0) throw new Error(output);
    this.screen = output;
    for (const { email, password, roles } of readStaff(openState(this.home))) {
      this.#staff.set(roles.at(-1)!, await this.signIn(email, password));
    }
  }

  /** The token of the one who has this role. */
  staff(role: 'merchant' | 'operator'): string {
    return this.#staff.get(role)!;
  }

  /** @throws TypeError where there is no answer at all */
  async call(method: string, path: string, { token, body, headers, url }: Call = {}): Promise<Answer> {
    const response = await fetch(`${url ?? `http://127.0.0.1:${this.port}`}${path}`, {
      method,
      headers: {
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(token && { authorization: `Bearer ${token}` }),
        ...headers,
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      signal: AbortSignal.timeout(40_000),
    });
    const text = await response.text();
    const isJson = /json/.test(response.headers.get('content-type') ?? '');
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: isJson && text ? JSON.parse(text) : undefined,
    };
  }

  /** Sends these very bytes, for what fetch would not, and gives all that came back until the store hung up. */
  raw(bytes: string | Buffer, patience = 15_000): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.port, '127.0.0.1', () => socket.write(bytes));
      let answer = '';
      const timer = setTimeout(
        () => socket.destroy(new Error(`open after ${patience} ms: ${answer}`)),
        patience,
      );
      socket.on('data', (data) => (answer += data.toString('latin1')));
      socket.on('error', (error: NodeJS.ErrnoException) => {
        // Whoever hangs up while it is still being sent to may reset the connection.
        if (!['ECONNRESET', 'EPIPE'].includes(error.code ?? '')) reject(error);
      });
      socket.on('close', () => {
        clearTimeout(timer);
        resolve(answer);
      });
    });
  }

  async signIn(email: string, password: string): Promise<string> {
    const ask = () => this.call('POST', '/v1/sessions', { body: { email, password } });
    let answer = await ask();
    // All suites of a store have one address, and a limit for it.
    if (answer.status === 429) {
      await pause(Number(answer.headers.get('retry-after')) * 1_000);
      answer = await ask();
    }
    const { status, text, body } = answer;
    if (status !== 201) throw new Error(`${email} cannot sign in: ${status} ${text}`);
    return body.accessToken;
  }

  /** Somebody new. */
  async member(): Promise<{ email: string; token: string }> {
    const email = `${randomUUID()}@example.com`;
    const password = randomUUID();
    await this.call('POST', '/v1/members', { body: { email, password, name: 'Kim Jogak' } });
    return { email, token: await this.signIn(email, password) };
  }

  /** A new product of which there are so many. Gives its id. */
  async product(pieces: number, amount = 12_000): Promise<string> {
    const token = this.staff('merchant');
    const key = () => ({ 'idempotency-key': randomUUID() });
    const { body } = await this.call('POST', '/v1/products', {
      token,
      headers: key(),
      body: {
        sku: `E2E-${randomUUID().slice(0, 8)}`,
        ...{ name: '시험 조각보', description: '시험에 쓰입니다.', category: 'tests' },
        price: { amount, currency: 'KRW' },
      },
    });
    const receipt = { token, headers: key(), body: { quantity: pieces } };
    // Inventory hears of a new product a moment later.
    await until(
      async () => (await this.call('POST', `/v1/stock/${body.productId}/receipts`, receipt)).status === 201,
    );
    return body.productId;
  }

  async available(productId: string): Promise<number> {
    return (await this.call('GET', `/v1/stock/${productId}`)).body.available;
  }

  /** What is asked to buy so many pieces of a product that `product` made. */
  order(productId: string, token = 'tok_ok', quantity = 1) {
    return {
      lines: [{ productId, quantity, priceVersion: 1 }],
      expectedTotal: { amount: 12_000 * quantity, currency: 'KRW' },
      shipTo: { name: 'Kim Jogak', line1: 'Jong-ro 1', city: 'Seoul', postalCode: '03000', country: 'KR' },
      payment: { token },
    };
  }

  /** Buys, and waits for the end. */
  buy(token: string, body: unknown, key: string = randomUUID()): Promise<Answer> {
    return this.call('POST', '/v1/orders', {
      token,
      body,
      headers: { 'idempotency-key': key, prefer: 'wait=20' },
    });
  }

  async readStatus(token: string, orderId: string): Promise<string> {
    return (await this.call('GET', `/v1/orders/${orderId}`, { token })).body?.status;
  }

  /** The sum and the number of all ledger entries of an order; where there is no payment yet, it says so as its status. */
  async ledger(token: string, orderId: string): Promise<{ status: string; entries: number; sum: number }> {
    const { status, body } = await this.call('GET', `/v1/orders/${orderId}/payments`, { token });
    if (status !== 200) return { status: `answered with ${status}`, entries: 0, sum: 0 };
    const amounts = body.items.flatMap(({ entries }: { entries: { amount: number }[] }) =>
      entries.map(({ amount }) => amount),
    ) as number[];
    return {
      status: body.items.map(({ status }: { status: string }) => status).join(),
      entries: amounts.length,
      sum: amounts.reduce((sum, amount) => sum + amount, 0),
    };
  }

  /** All mails to an address, whatever their number. */
  async mailbox(email: string): Promise<Mail[]> {
    const token = this.staff('operator');
    const path = `/v1/ops/mailbox?limit=100&to=${encodeURIComponent(email)}`;
    const mails: Mail[] = [];
    for (let cursor = ''; ;) {
      const { body } = await this.call('GET', path + cursor, { token });
      mails.push(...body.items);
      if (!body.nextCursor) return mails;
      cursor = `&cursor=${body.nextCursor}`;
    }
  }
}
