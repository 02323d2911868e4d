import { randomBytes, randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { findFreePort } from '@jogakbo/cli/src/supervisor/ports.ts';
import { openState } from '@jogakbo/cli/src/supervisor/state.ts';
import { readStaff } from '@jogakbo/cli/src/supervisor/staff.ts';
import { Jogakbo, until } from './jogakbo.ts';

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  /** Undefined if the response is empty or not JSON. */
  body: any; // eslint-disable-line @typescript-eslint/no-explicit-any -- any JSON
}

interface Call {
  token?: string | undefined;
  body?: unknown;
  headers?: Record<string, string>;
  /** URL of a gateway (default: the first one). */
  url?: string;
}

export interface Mail {
  to: string;
  subject: string;
  messageId: string;
}

/** The real store in its own folder, used over HTTP through its gateway. */
export class Store extends Jogakbo {
  readonly #tokens = new Map<string, string>();
  /** Output of the start. */
  screen = '';

  /** @param env additional settings of its services */
  async start(options: string[] = [], env: NodeJS.ProcessEnv = {}): Promise<void> {
    await this.make();
    const { code, output } = await this.run(['start', '--detach', ...options], {
      // Not the default port, which another store could take while the registry of this one is down.
      REGISTRY_PORT: String(await findFreePort(28_000, 32_000)),
      ...env,
    });
    if (code !== 0) throw new Error(output);
    this.screen = output;
    for (const { email, password, roles } of readStaff(openState(this.home))) {
      this.#tokens.set(roles.at(-1)!, await this.signIn(email, password));
    }
  }

  /** The access token of the staff member with this role. */
  getToken(role: 'merchant' | 'operator'): string {
    return this.#tokens.get(role)!;
  }

  /** @throws TypeError without a response */
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

  /** Sends bytes that fetch would not send. @returns the response until the store closes the connection */
  sendRaw(bytes: string | Buffer, timeoutMs = 15_000): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.port, '127.0.0.1', () => socket.write(bytes));
      let answer = '';
      const timer = setTimeout(
        () => socket.destroy(new Error(`still open after ${timeoutMs} ms: ${answer}`)),
        timeoutMs,
      );
      socket.on('data', (data) => (answer += data.toString('latin1')));
      socket.on('error', (error: NodeJS.ErrnoException) => {
        // A server that closes while the client still sends may reset the connection.
        if (!['ECONNRESET', 'EPIPE'].includes(error.code ?? '')) reject(error);
      });
      socket.on('close', () => {
        clearTimeout(timer);
        resolve(answer);
      });
    });
  }

  async signIn(email: string, password: string): Promise<string> {
    const send = () => this.call('POST', '/v1/sessions', { body: { email, password } });
    let answer = await send();
    // All suites share one address, which is rate-limited.
    if (answer.status === 429) {
      await pause(Number(answer.headers.get('retry-after')) * 1_000);
      answer = await send();
    }
    const { status, text, body } = answer;
    if (status !== 201) throw new Error(`${email} cannot sign in: ${status} ${text}`);
    return body.accessToken;
  }

  async createMember(): Promise<{ email: string; token: string }> {
    const email = `${randomUUID()}@example.com`;
    const password = randomUUID();
    await this.call('POST', '/v1/members', { body: { email, password, name: 'Kim Jogak' } });
    return { email, token: await this.signIn(email, password) };
  }

  /** Creates a product with this stock. @returns its id */
  async createProduct(pieces: number, amount = 12_000): Promise<string> {
    const token = this.getToken('merchant');
    const key = () => ({ 'idempotency-key': randomUUID() });
    const { body } = await this.call('POST', '/v1/products', {
      token,
      headers: key(),
      body: {
        sku: `E2E-${randomUUID().slice(0, 8)}`,
        name: '시험 조각보',
        description: '시험에 쓰입니다.',
        category: 'tests',
        price: { amount, currency: 'KRW' },
      },
    });
    const receipt = { token, headers: key(), body: { quantity: pieces } };
    // Inventory receives the event of a new product a moment later.
    await until(
      async () => (await this.call('POST', `/v1/stock/${body.productId}/receipts`, receipt)).status === 201,
    );
    return body.productId;
  }

  async readAvailable(productId: string): Promise<number> {
    return (await this.call('GET', `/v1/stock/${productId}`)).body.available;
  }

  /** Request body for an order of a product from `createProduct`. */
  buildOrder(productId: string, token = 'tok_ok', quantity = 1) {
    return {
      lines: [{ productId, quantity, priceVersion: 1 }],
      expectedTotal: { amount: 12_000 * quantity, currency: 'KRW' },
      shipTo: { name: 'Kim Jogak', line1: 'Jong-ro 1', city: 'Seoul', postalCode: '03000', country: 'KR' },
      payment: { token },
    };
  }

  /** Places an order and waits for its outcome. */
  buy(token: string, body: unknown, key: string = randomUUID()): Promise<Answer> {
    return this.call('POST', '/v1/orders', {
      token,
      body,
      headers: { 'idempotency-key': key, prefer: 'wait=20' },
    });
  }

  /** A new member buys a new product in a trace of its own. */
  async buyInTrace(): Promise<{ traceId: string; email: string; order: Answer['body'] }> {
    const { token, email } = await this.createMember();
    const traceId = randomBytes(16).toString('hex');
    const traceparent = `00-${traceId}-${'b'.repeat(16)}-01`;
    const { status, text, body } = await this.call('POST', '/v1/orders', {
      token,
      body: this.buildOrder(await this.createProduct(1)),
      headers: { 'idempotency-key': randomUUID(), prefer: 'wait=20', traceparent },
    });
    if (status !== 201) throw new Error(text);
    return { traceId, email, order: body };
  }

  async readStatus(token: string, orderId: string): Promise<string> {
    return (await this.call('GET', `/v1/orders/${orderId}`, { token })).body?.status;
  }

  /** Number and sum of the ledger entries of an order. Without a payment, `status` holds the HTTP status instead. */
  async readLedger(
    token: string,
    orderId: string,
  ): Promise<{ status: string; entries: number; sum: number }> {
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

  /** All mails to an address. */
  async readMailbox(email: string): Promise<Mail[]> {
    const token = this.getToken('operator');
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
