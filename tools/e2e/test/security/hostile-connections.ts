import { connect } from 'node:net';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { type Store } from '../../src/store.ts';

const buildGet = (target: string, ...headers: string[]) =>
  [`GET ${target} HTTP/1.1`, 'Host: x', 'Connection: close', ...headers, '', ''].join('\r\n');
const matchProblem = (status: number | string) =>
  new RegExp(`^HTTP/1\\.1 ${status} [^]*content-type: application/problem\\+json`, 'i');

export const hostileConnections = (store: Store) =>
  describe('hostile raw requests', () => {
    let buyer: { email: string; token: string };
    let productId: string;

    beforeAll(async () => {
      buyer = await store.createMember();
      productId = await store.createProduct(100);
    });

    it('with path tricks reach no protected route', async () => {
      const targets = [
        ...[
          '/v1/products/../ops/audit',
          '/v1/%2e%2e/v1/ops/audit',
          '/v1/products/%2e%2e/ops/audit',
          '/v1/./ops/audit',
        ],
        ...[
          '/v1//ops/audit',
          '//v1/ops/audit',
          '/v1/ops//audit',
          '/v1/ops/audit/',
          '/v1/ops/audit;x=1',
          '/v1/ops;/audit',
        ],
        ...[
          '/v1/products/..;/ops/audit',
          '/v1/ops%2faudit',
          '/v1%2fops%2faudit',
          '/v1/ops/audit%00',
          '/v1/ops/audit%20',
        ],
        ...[
          '/V1/OPS/AUDIT',
          '/v1/%6fps/audit',
          '/v1/ops/%61udit',
          '/v1\\ops\\audit',
          '/v1/ops/audit%2e',
          '/v1/ops/audit.json',
        ],
        ...[
          '/v1/ops/audit%3f',
          '/v1/ops/audit#',
          '/%76%31/ops/audit',
          '/v1/ops/\u0430udit',
          '/v1/ops/%c0%afaudit',
        ],
        ...[
          '/v1/%c0%ae%c0%ae/ops/audit',
          '/v1/%252e%252e/ops/audit',
          '/v1/ops/audit?/../../public',
          '*',
          'v1/ops/audit',
        ],
        ...[
          'http://127.0.0.1/v1/ops/audit',
          'https://evil.example/v1/ops/audit',
          '/.git/config',
          '/.env',
          '/package.json',
        ],
        ...[
          '/v1/ops/audit%0d%0aX:%201',
          '/__proto__',
          '/constructor/prototype',
          `/v1/${'../'.repeat(50)}etc/passwd`,
        ],
        ...[
          `/${'a'.repeat(5_000)}`,
          '/v1/orders/%00',
          `/v1/products/${productId}/../../ops/audit`,
          '/%',
          '/%zz',
          '/v1/orders/%ff',
        ],
      ];
      for (const target of targets)
        for (const token of [undefined, buyer.token]) {
          const answer = await store.sendRaw(
            buildGet(
              Buffer.from(target).toString('latin1'),
              ...(token ? [`Authorization: Bearer ${token}`] : []),
            ),
          );
          expect({ target, answer }).toEqual({
            target,
            answer: expect.stringMatching(matchProblem('4\\d\\d')),
          });
          expect(answer).not.toContain('"auditId"');
        }
    }, 60_000);

    it('that smuggle a second request get one response and a closed connection', async () => {
      const inner = `GET /v1/members/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${buyer.token}\r\n\r\n`;
      const post = (...headers: string[]) =>
        ['POST /v1/sessions HTTP/1.1', 'Host: x', 'Content-Type: application/json', ...headers, '', ''].join(
          '\r\n',
        );
      const chunks = `0\r\n\r\n${inner}`;
      const shapes: Record<string, string> = {
        'length and chunks': post('Content-Length: 6', 'Transfer-Encoding: chunked') + chunks,
        'chunks and length': post('Transfer-Encoding: chunked', 'Content-Length: 6') + chunks,
        'two lengths': post('Content-Length: 0', `Content-Length: ${inner.length}`) + inner,
        'the same length twice': post('Content-Length: 0', 'Content-Length: 0') + inner,
        'two lengths in one': post(`Content-Length: 0, ${inner.length}`) + inner,
        'a negative length': post('Content-Length: -1') + inner,
        'a length with a sign': post('Content-Length: +0') + inner,
        'a length that is not a number': post('Content-Length: 0x10') + inner,
        'an endless length': post(`Content-Length: ${'9'.repeat(40)}`) + inner,
        'chunks that are not a number': post('Transfer-Encoding: chunked') + `zz\r\n\r\n${inner}`,
        'a chunk with a sign': post('Transfer-Encoding: chunked') + `-1\r\n${inner}`,
        'an endless chunk': post('Transfer-Encoding: chunked') + `${'f'.repeat(30)}\r\n${inner}`,
        'another coding': post('Transfer-Encoding: xchunked') + chunks,
        'chunks that are not last': post('Transfer-Encoding: chunked, identity') + chunks,
        'a coding with a space before its colon': post('Transfer-Encoding : chunked') + chunks,
        'a folded coding': post('Transfer-Encoding:\r\n chunked', 'Content-Length: 6') + chunks,
        'a header without a name': post(': x', 'Content-Length: 0') + inner,
        'a bare line feed': post('X: a\nContent-Length: 5').replace('\r\n\r\n', '\n\n') + inner,
        'a NUL in a header': post('X: a\0b', 'Content-Length: 0') + inner,
        'two hosts': post('Host: y', 'Content-Length: 0') + inner,
        'no host': 'POST /v1/sessions HTTP/1.1\r\nContent-Length: 0\r\n\r\n' + inner,
        'an invalid host': 'POST /v1/sessions HTTP/1.1\r\nHost: a b\r\nContent-Length: 0\r\n\r\n' + inner,
        'HTTP/0.9': `GET /v1/members/me\r\n\r\n${inner}`,
        'HTTP/2.0': `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${inner}`,
        'a change of protocol': buildGet('/v1/members/me', 'Upgrade: websocket', 'Connection: Upgrade'),
        'a tunnel': 'CONNECT 127.0.0.1:5432 HTTP/1.1\r\nHost: x\r\n\r\n' + inner,
      };
      for (const [what, bytes] of Object.entries(shapes)) {
        const answer = await store.sendRaw(bytes);
        expect({ what, answer: answer.slice(0, 12) }).toEqual({
          what,
          answer: expect.stringMatching(/^(HTTP\/1\.1 (4\d\d|501|505))?$/),
        });
        expect({ what, answers: answer.split('HTTP/1.1 ').length - 1 }).toEqual({
          what,
          answers: answer ? 1 : 0,
        });
        expect(answer).not.toContain(buyer.email);
      }
    }, 60_000);

    it('with too many, too long or duplicate headers are rejected, or the first header counts', async () => {
      expect(await store.sendRaw(buildGet('/v1/products', `X: ${'x'.repeat(20_000)}`))).toMatch(
        matchProblem(431),
      );
      expect(await store.sendRaw(buildGet('/v1/products', ...Array(1_000).fill('X: 1')))).toMatch(
        matchProblem(431),
      );
      expect(
        await store.sendRaw(buildGet('/v1/products', ...Array(90).fill(`X: ${'x'.repeat(300)}`))),
      ).toMatch(matchProblem(431));
      const body = JSON.stringify(store.buildOrder(productId));
      const sendOrder = (...headers: string[]) =>
        store.sendRaw(
          [
            'POST /v1/orders HTTP/1.1',
            'Host: x',
            'Connection: close',
            `Content-Length: ${body.length}`,
            `Authorization: Bearer ${buyer.token}`,
            ...headers,
            '',
            body,
          ].join('\r\n'),
        );
      const type = 'Content-Type: application/json';
      expect(await sendOrder(type, 'Idempotency-Key: a', 'Idempotency-Key: b')).toMatch(matchProblem(400));
      expect(await sendOrder('Content-Type: text/plain', type, 'Idempotency-Key: c')).toMatch(
        matchProblem(415),
      );
    });

    it('that are slow time out, and hundreds of them do not disturb other buyers', async () => {
      const beginnings = [
        'GET /v1/products HTTP/1.1\r\nHost: x\r\nX-Slow: ',
        'POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50000\r\n\r\n{"email":"',
        'POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n',
        '',
      ];
      const slow = Array.from({ length: 300 }, (_, nth) => {
        const beginning = beginnings[nth % beginnings.length]!;
        const socket = connect(store.port, '127.0.0.1', () => socket.write(beginning));
        let answer = '';
        socket.on('data', (data) => (answer += data.toString())).on('error', () => {});
        const timer = setInterval(
          () =>
            socket.writable && beginning && socket.write(beginning.endsWith('\r\n\r\n') ? '1\r\nx\r\n' : 'x'),
          500,
        );
        return new Promise<string>((resolve) =>
          socket.once('close', () => {
            clearInterval(timer);
            resolve(answer);
          }),
        );
      });
      for (let bought = 0; bought < 5; bought += 1)
        expect((await store.buy(buyer.token, store.buildOrder(productId))).body.status).toBe('confirmed');
      const answers = await Promise.all(slow);
      expect(new Set(answers.map((answer) => answer.slice(0, 12)))).toEqual(new Set(['HTTP/1.1 408']));
      for (const answer of answers) expect(answer).toMatch(matchProblem(408));
    }, 60_000);
  });
