import { createHook, type AsyncHook } from 'node:async_hooks';
import { createServer, get, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { brotliDecompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { noSpans } from '@jogakbo/messaging';
import { Logger } from '@nestjs/common';
import { RequestContext } from './request-context.ts';
import { compress, Representation } from './representation.ts';

let compressions = 0;
let hook: AsyncHook;
beforeEach(() => {
  compressions = 0;
  hook = createHook({ init: (_, type) => void (type === 'ZLIB' && (compressions += 1)) }).enable();
});
afterEach(() => {
  hook.disable();
});

describe('a response', () => {
  let server: Server;
  let answer: (context: RequestContext) => void;
  beforeEach(async () => {
    server = createServer((request, response) =>
      answer(new RequestContext(request, response, [], '192.0.2.1', () => false, noSpans)),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterEach(() => {
    server.close();
    server.closeAllConnections();
  });

  const send = () =>
    new Promise<{ response: IncomingMessage; body: Buffer }>((resolve, reject) => {
      const { port } = server.address() as AddressInfo;
      get({ port, host: '127.0.0.1', headers: { 'accept-encoding': 'br' } }, async (response) => {
        const chunks: Buffer[] = await response.toArray();
        resolve({ response, body: Buffer.concat(chunks) });
      }).on('error', reject);
    });

  it('is compressed once for all requests of a version', async () => {
    const text = JSON.stringify(Array.from({ length: 1_000 }, (_, n) => ({ n })));
    const document = new Representation(text, '"1"');
    answer = (context) => context.sendRepresentation(200, document);
    const responses = await Promise.all(Array.from({ length: 20 }, send));
    expect(compressions).toBe(1);
    for (const { response, body } of responses) {
      expect(response.headers).toMatchObject({ 'content-encoding': 'br', etag: '"1.br"' });
      expect(brotliDecompressSync(body).toString()).toBe(text);
    }
  });

  it('whose content cannot be read ends its connection and is logged', async () => {
    const error = jest.spyOn(Logger.prototype, 'error').mockImplementation(() => {});
    answer = (context) => {
      context.route = '/file';
      context.header('content-type', 'text/css');
      context.sendFile('"1"', () => Promise.reject(new Error('no such file')));
    };
    await expect(send()).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(error.mock.calls).toEqual([
      [expect.objectContaining({ err: new Error('no such file'), route: '/file' }), 'GET /file failed'],
    ]);
    error.mockRestore();
  });
});

describe('compression', () => {
  it('of many contents at a time takes the memory of four', async () => {
    const contents = Array.from({ length: 20 }, (_, n) => String(n).repeat(2_000));
    const compressing = contents.map((content) => compress('br', content));
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    expect(compressions).toBe(4);
    await expect(Promise.all(compressing)).resolves.toHaveLength(20);
    expect(compressions).toBe(20);
  });
});
