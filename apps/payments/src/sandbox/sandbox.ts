import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Money } from '@jogakbo/contract';
import { Injectable, Logger, type OnModuleDestroy } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { z } from 'zod';
import { parsed } from '../http-provider.ts';
import { PaymentsSettings } from '../settings.ts';
import { Charges, type Charge, type ChargeStatus } from './charges.ts';
import { tokens } from './tokens.ts';

/** A status, and a body where there is something to say; undefined cuts the connection instead of answering. */
type Answer = { status: number; body?: unknown } | undefined;

interface Asked {
  /** The part of the path that stands for a thing. */
  id: string;
  key: string | undefined;
  body: unknown;
  gone: AbortSignal;
}

const ChargeBody = Money.extend({ token: z.string() });
const TokenBody = z.object({ token: z.string() });
const bodyLimit = 10_000;
const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * A payment provider for trying things out: a real HTTP server on this machine whose tokens say how it behaves. What it
 * decided outlives it, as with a real one.
 */
@Injectable()
export class Sandbox implements OnModuleDestroy {
  readonly #charges: Charges;
  readonly #routes: [string, RegExp, (asked: Asked) => Promise<Answer>][];
  #server: Server | undefined;
  /** Another process of this machine may reach the port, but not charge. */
  readonly #token = randomBytes(32).toString('base64url');

  constructor(
    dataSource: DataSource,
    private readonly settings: PaymentsSettings,
  ) {
    this.#charges = new Charges(dataSource);
    this.#routes = [
      ['POST', /^\/v1\/token-checks$/, (asked) => this.#checkToken(asked)],
      ['POST', /^\/v1\/charges$/, (asked) => this.#charge(asked)],
      ['POST', /^\/v1\/charges\/([^/]+)\/capture$/, (asked) => this.#move(asked, 'authorized', 'captured')],
      ['POST', /^\/v1\/charges\/([^/]+)\/refund$/, (asked) => this.#move(asked, 'captured', 'refunded')],
      ['PUT', /^\/v1\/cancellations\/([^/]+)$/, (asked) => this.#cancel(asked)],
    ];
  }

  /** Starts it on a free port of this machine. Gives its address, and the token that it demands. */
  async listen(): Promise<{ url: string; token: string }> {
    const server = createServer((request, response) => void this.#answer(request, response));
    this.#server = server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    new Logger('Sandbox').warn(`no PROVIDER_URL is set: the sandbox at ${url} sells, and charges nothing`);
    return { url, token: this.#token };
  }

  async onModuleDestroy(): Promise<void> {
    if (!this.#server) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #checkToken({ body }: Asked): Promise<Answer> {
    const { success, data } = TokenBody.safeParse(body);
    if (!success) return { status: 400 };
    return { status: tokens.has(data.token) ? 204 : 404 };
  }

  async #charge({ key, body, gone }: Asked): Promise<Answer> {
    const { success, data } = ChargeBody.safeParse(body);
    if (!success || !key) return { status: 400 };
    const { token, ...money } = data;
    const behaviour = tokens.get(token);
    if (!behaviour) return { status: 402, body: { status: 'declined', reason: 'unknown-payment-token' } };

    const charge = await this.#charges.charge(key, money, behaviour);
    if (charge.status === 'pending') return { status: 500 };
    if (charge.status === 'declined') return { status: 402, body: shown(charge) };
    if (behaviour.drops && charge.calls === 1) return undefined;
    if (behaviour.late && charge.status === 'authorized')
      await sleep(Math.max(0, this.settings.sandboxDelay - charge.age), undefined, { signal: gone });
    return { status: charge.calls === 1 ? 201 : 200, body: shown(charge) };
  }

  async #cancel({ id }: Asked): Promise<Answer> {
    const charge = await this.#charges.cancel(id);
    const isOver = charge.status === 'voided' || charge.status === 'declined';
    return { status: isOver ? 200 : 409, body: shown(charge) };
  }

  async #move({ id, key }: Asked, from: ChargeStatus, to: ChargeStatus): Promise<Answer> {
    if (!key) return { status: 400 };
    const charge = await this.#charges.move(id, from, to);
    if (!charge) return { status: 404 };
    return { status: charge.status === to ? 200 : 409, body: shown(charge) };
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const leaving = new AbortController();
    response.once('close', () => leaving.abort('closed'));
    try {
      const answer = await this.#route(request, leaving.signal);
      if (!answer) return void request.socket.destroy();
      response.writeHead(answer.status, { 'content-type': 'application/json' });
      response.end(answer.body === undefined ? undefined : JSON.stringify(answer.body));
    } catch (error) {
      if (leaving.signal.aborted) return;
      new Logger('Sandbox').error(error);
      response.writeHead(500).end();
    }
  }

  async #route(request: IncomingMessage, gone: AbortSignal): Promise<Answer> {
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
      return handle({ ...read, key: typeof key === 'string' ? key : undefined, gone });
    }
    return { status: 404 };
  }
}

function isSame(given: string | undefined, expected: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return given !== undefined && timingSafeEqual(digest(given), digest(expected));
}

const shown = ({ status, reference, reason }: Charge) =>
  status === 'declined' ? { status, reason } : { status, reference };

/** Undefined where the path or the body is not valid UTF-8. */
function decode(id: string, bytes: Buffer): Pick<Asked, 'id' | 'body'> | undefined {
  try {
    return { id: decodeURIComponent(id), body: parsed(utf8.decode(bytes)) };
  } catch {
    return undefined;
  }
}

/** Undefined where it is too long. */
async function readBytes(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    if ((size += chunk.length) > bodyLimit) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
