import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Money } from '@jogakbo/contracts-commerce';
import { Injectable, Logger, type OnModuleDestroy } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { z } from 'zod';
import { parseJson } from '../http-provider.ts';
import { PaymentsSettings } from '../settings.ts';
import { Charges, type Charge, type ChargeStatus } from './charges.ts';
import { tokens } from './tokens.ts';

/** Undefined closes the connection without a response. */
type Answer = { status: number; body?: unknown } | undefined;

interface SandboxRequest {
  /** The id in the path. */
  id: string;
  key: string | undefined;
  body: unknown;
  closed: AbortSignal;
}

const ChargeBody = Money.extend({ token: z.string() });
const TokenBody = z.object({ token: z.string() });
const bodyLimit = 10_000;
const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * A simulated payment provider: an HTTP server on this machine, whose tokens select its behaviour. Its charges survive a
 * restart, as with a real provider.
 */
@Injectable()
export class Sandbox implements OnModuleDestroy {
  readonly #charges: Charges;
  readonly #routes: [string, RegExp, (request: SandboxRequest) => Promise<Answer>][];
  #server: Server | undefined;
  /** Keeps other processes of this machine, which can reach the port, from using the sandbox. */
  readonly #token = randomBytes(32).toString('base64url');

  constructor(
    dataSource: DataSource,
    private readonly settings: PaymentsSettings,
  ) {
    this.#charges = new Charges(dataSource);
    this.#routes = [
      ['POST', /^\/v1\/token-checks$/, (request) => this.#checkToken(request)],
      ['POST', /^\/v1\/charges$/, (request) => this.#charge(request)],
      [
        'POST',
        /^\/v1\/charges\/([^/]+)\/capture$/,
        (request) => this.#move(request, 'authorized', 'captured'),
      ],
      ['POST', /^\/v1\/charges\/([^/]+)\/refund$/, (request) => this.#move(request, 'captured', 'refunded')],
      ['PUT', /^\/v1\/cancellations\/([^/]+)$/, (request) => this.#cancel(request)],
    ];
  }

  /** Listens on a free port of this machine. Returns its URL and the required bearer token. */
  async listen(): Promise<{ url: string; token: string }> {
    const server = createServer((request, response) => void this.#answer(request, response));
    this.#server = server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    new Logger('Sandbox').warn(`PROVIDER_URL is not set: using the sandbox at ${url}, which charges nothing`);
    return { url, token: this.#token };
  }

  async onModuleDestroy(): Promise<void> {
    if (!this.#server) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #checkToken({ body }: SandboxRequest): Promise<Answer> {
    const { success, data } = TokenBody.safeParse(body);
    if (!success) return { status: 400 };
    return { status: tokens.has(data.token) ? 204 : 404 };
  }

  async #charge({ key, body, closed }: SandboxRequest): Promise<Answer> {
    const { success, data } = ChargeBody.safeParse(body);
    if (!success || !key) return { status: 400 };
    const { token, ...money } = data;
    const behaviour = tokens.get(token);
    if (!behaviour) return { status: 402, body: { status: 'declined', reason: 'unknown-payment-token' } };

    const charge = await this.#charges.charge(key, money, behaviour);
    if (charge.status === 'pending') return { status: 500 };
    if (charge.status === 'declined') return { status: 402, body: toBody(charge) };
    if (behaviour.dropsConnection && charge.calls === 1) return undefined;
    if (behaviour.isLate && charge.status === 'authorized')
      await sleep(Math.max(0, this.settings.sandboxDelay - charge.age), undefined, { signal: closed });
    return { status: charge.calls === 1 ? 201 : 200, body: toBody(charge) };
  }

  async #cancel({ id }: SandboxRequest): Promise<Answer> {
    const charge = await this.#charges.cancel(id);
    const isOver = charge.status === 'voided' || charge.status === 'declined';
    return { status: isOver ? 200 : 409, body: toBody(charge) };
  }

  async #move({ id, key }: SandboxRequest, from: ChargeStatus, to: ChargeStatus): Promise<Answer> {
    if (!key) return { status: 400 };
    const charge = await this.#charges.move(id, from, to);
    if (!charge) return { status: 404 };
    return { status: charge.status === to ? 200 : 409, body: toBody(charge) };
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const closing = new AbortController();
    response.once('close', () => closing.abort('closed'));
    try {
      const answer = await this.#route(request, closing.signal);
      if (!answer) return void request.socket.destroy();
      response.writeHead(answer.status, { 'content-type': 'application/json' });
      response.end(answer.body === undefined ? undefined : JSON.stringify(answer.body));
    } catch (error) {
      if (closing.signal.aborted) return;
      new Logger('Sandbox').error(error);
      response.writeHead(500).end();
    }
  }

  async #route(request: IncomingMessage, closed: AbortSignal): Promise<Answer> {
    const path = request.url ?? '/';
    if (!isSame(request.headers.authorization, `Bearer ${this.#token}`)) return { status: 401 };
    for (const [method, pattern, handle] of this.#routes) {
      const match = request.method === method && pattern.exec(path);
      if (!match) continue;
      const bytes = await readBytes(request);
      if (bytes === undefined) return { status: 413 };
      const read = decode(match[1] ?? '', bytes);
      if (read === undefined) return { status: 400 };
      const key = request.headers['idempotency-key'];
      return handle({ ...read, key: typeof key === 'string' ? key : undefined, closed });
    }
    return { status: 404 };
  }
}

function isSame(given: string | undefined, expected: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return given !== undefined && timingSafeEqual(digest(given), digest(expected));
}

const toBody = ({ status, reference, reason }: Charge) =>
  status === 'declined' ? { status, reason } : { status, reference };

/** Undefined if the path or the body is not valid UTF-8. */
function decode(id: string, bytes: Buffer): Pick<SandboxRequest, 'id' | 'body'> | undefined {
  try {
    return { id: decodeURIComponent(id), body: parseJson(utf8.decode(bytes)) };
  } catch {
    return undefined;
  }
}

/** Undefined if the body is too long. */
async function readBytes(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    if ((size += chunk.length) > bodyLimit) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
