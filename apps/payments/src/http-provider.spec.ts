import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { HttpProvider } from './http-provider.ts';
import { ProviderFault } from './provider.ts';

/** One response per call; `drop` closes the connection, `silence` never responds. The last one repeats. */
type Script = ({ status: number; body?: unknown } | 'drop' | 'silence')[];

describe('HttpProvider', () => {
  let server: Server;
  let provider: HttpProvider;
  let script: Script;
  let calls: { line: string; key: IncomingMessage['headers'][string] }[];

  beforeEach(async () => {
    calls = [];
    server = createServer((request, response) => {
      request.resume();
      expect(request.headers.authorization).toBe('Bearer the store');
      calls.push({ line: `${request.method} ${request.url}`, key: request.headers['idempotency-key'] });
      const answer = script[Math.min(calls.length, script.length) - 1]!;
      if (answer === 'drop') request.socket.destroy();
      else if (answer !== 'silence') response.writeHead(answer.status).end(JSON.stringify(answer.body ?? {}));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    provider = new HttpProvider(
      `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      'the store',
      500,
    );
  });
  afterEach(async () => {
    server.close().closeAllConnections();
    await once(server, 'close');
  });

  const authorize = () =>
    provider.authorize({ paymentId: 'key-1', amount: { amount: 1, currency: 'KRW' }, token: 'tok_ok' });
  const authorized = { status: 'authorized', reference: 'ch_1' };
  const created = { status: 201, body: authorized };

  it.each<[string, Script]>([
    ['at once', [created]],
    ['after server errors', [{ status: 500 }, { status: 503 }, created]],
    ['after dropped connections', ['drop', 'drop', created]],
    ['after a timeout', ['silence', created]],
    ['after a 429', [{ status: 429 }, created]],
  ])('authorizes %s, always with the same key', async (_, given) => {
    script = given;
    await expect(authorize()).resolves.toEqual(authorized);
    expect(calls).toEqual(given.map(() => ({ line: 'POST /v1/charges', key: 'key-1' })));
  });

  it.each<[string, Script[0]]>([
    ['fails', { status: 500 }],
    ['drops the connection', 'drop'],
    ['does not respond', 'silence'],
  ])('fails after three attempts if the provider %s', async (_, answer) => {
    script = [answer];
    await expect(authorize()).rejects.toBeInstanceOf(ProviderFault);
    expect(calls).toHaveLength(3);
  });

  it('does not retry a decline', async () => {
    const body = { status: 'declined', reason: 'card-declined' };
    script = [{ status: 402, body }];
    await expect(authorize()).resolves.toEqual(body);
    expect(calls).toHaveLength(1);
  });

  it.each<[string, Script[0]]>([
    ['a conflict', { status: 409 }],
    ['a redirection', { status: 302 }],
    ['a charge without a reference', { status: 201, body: { status: 'authorized' } }],
    ['a charge without a status', { status: 201, body: { reference: 'ch_1' } }],
    ['a decline without a reason', { status: 402, body: { status: 'declined' } }],
  ])('rejects %s', async (_, answer) => {
    script = [answer];
    await expect(authorize()).rejects.toBeInstanceOf(ProviderFault);
    expect(calls).toHaveLength(1);
  });

  it.each(['captured', 'voided', 'refunded'])(
    'returns the state of a charge that is already %s',
    async (status) => {
      const body = { status, reference: 'ch_1' };
      script = [{ status: 200, body }];
      await expect(authorize()).resolves.toEqual(body);
      script = [{ status: 409, body }];
      const charge = { paymentId: 'key-1', reference: 'ch_1' };
      await expect(provider.capture(charge)).resolves.toEqual(body);
      await expect(provider.refund(charge)).resolves.toEqual(body);
      await expect(provider.void('key-1')).resolves.toEqual(body);
    },
  );

  it('sends each step with its own key', async () => {
    const charge = { paymentId: 'key-1', reference: 'ch/1' };
    script = [{ status: 200, body: { status: 'captured', reference: 'ch/1' } }];
    await provider.capture(charge);
    await provider.refund(charge);
    await provider.void('key-1');
    script = [{ status: 204 }];
    await expect(provider.isTokenKnown('tok_ok')).resolves.toBe(true);
    expect(calls).toEqual([
      { line: 'POST /v1/charges/ch%2F1/capture', key: 'key-1-capture' },
      { line: 'POST /v1/charges/ch%2F1/refund', key: 'key-1-refund' },
      { line: 'PUT /v1/cancellations/key-1', key: undefined },
      { line: 'POST /v1/token-checks', key: undefined },
    ]);
    script = [{ status: 404 }];
    await expect(provider.isTokenKnown('tok_unheard_of')).resolves.toBe(false);
  });
});
