import { describe, expect, it } from '@jest/globals';
import { type GatewayUnderTest } from './gateway-under-test.ts';

export const testDocuments = (gateway: GatewayUnderTest) =>
  describe('documents', () => {
    it('describe all announced routes and no others', async () => {
      const { status, headers, body } = await gateway.call('/openapi.json');
      expect({ status, version: body.openapi }).toEqual({ status: 200, version: '3.1.0' });
      expect(headers.get('content-type')).toContain('application/json');
      expect(body.paths['/v1/jobs'].post).toMatchObject({
        operationId: 'demo.begin-job',
        tags: ['demo'],
        security: [{ bearer: [] }],
      });
      expect(JSON.stringify(body)).not.toContain('demo.inside');
      const bus = (await gateway.call('/asyncapi.json')).body;
      expect(bus).toMatchObject({ asyncapi: '3.0.0', info: { title: 'Tea & Books' } });
      expect(bus.channels).toHaveProperty(['demo.inside']);
      expect(bus.channels).toHaveProperty(['demo.job-ended']);
    });

    it('return 304 if the ETag matches', async () => {
      for (const path of ['/openapi.json', '/asyncapi.json']) {
        const etag = (await gateway.call(path)).headers.get('etag')!;
        const again = await gateway.call(path, { headers: { 'if-none-match': etag } });
        expect(again).toMatchObject({ status: 304, body: undefined });
        expect((await gateway.call(path, { headers: { 'if-none-match': 'W/"x"' } })).status).toBe(200);
      }
    });

    it('are linked from the root, as HTML for browsers and as JSON for other clients', async () => {
      const browser = { accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' };
      const page = await gateway.call('/', { headers: browser });
      expect({ status: page.status, vary: page.headers.get('vary') }).toEqual({
        status: 200,
        vary: expect.stringContaining('Accept'),
      });
      expect(page.headers.get('content-type')).toContain('text/html');
      expect(page.headers.get('content-security-policy')).toMatch(/^default-src 'none'; style-src 'sha256-/);
      expect(page.body).toContain('<a href="/docs">');
      expect(page.body).toContain('<h1>Tea &amp; Books</h1>');
      for (const accept of ['*/*', 'application/json', 'text/html;q=0.5, application/json']) {
        const { status, headers, body } = await gateway.call('/', { headers: { accept } });
        expect({ accept, status, documentation: body.documentation }).toEqual({
          accept,
          status: 200,
          documentation: '/docs',
        });
        expect(headers.get('content-type')).toContain('application/json');
      }
      expect((await gateway.call('/', { method: 'HEAD', headers: browser })).status).toBe(200);
      expect((await gateway.call('/', { method: 'POST' })).status).toBe(404);
    });

    it('have a page that loads no scripts from other origins', async () => {
      const { status, headers, body } = await gateway.call('/docs');
      expect(status).toBe(200);
      expect(headers.get('content-type')).toContain('text/html');
      const policy = headers.get('content-security-policy')!;
      expect(policy).toMatch(/default-src 'none'; script-src 'sha256-/);
      expect(policy).not.toMatch(/unsafe|https?:|\*/);
      expect(body).not.toMatch(/https?:\/\//);
      // The nonce of one response permits nothing in another.
      const [nonce] = /'nonce-[\w+/=]{20,}'/.exec(policy)!;
      expect((await gateway.call('/docs')).headers.get('content-security-policy')).not.toContain(nonce);
    });

    it.each([
      ['/docs/swagger-ui-bundle.js', 'text/javascript; charset=utf-8', 'SwaggerUIBundle'],
      ['/docs/swagger-ui.css', 'text/css; charset=utf-8', '.swagger-ui'],
    ])('serve %s of the page, compressed and with an ETag', async (path, type, part) => {
      expect((await gateway.call('/docs')).body).toContain(`"${path}" nonce=`);
      const url = gateway.service.url + path;
      const get = (headers: Record<string, string>) => fetch(url, { headers });
      const [first, plain] = [
        await get({ 'accept-encoding': 'gzip, br' }),
        await get({ 'accept-encoding': 'identity' }),
      ];
      expect([
        first.status,
        first.headers.get('content-encoding'),
        first.headers.get('content-type'),
      ]).toEqual([200, 'gzip', type]);
      expect([plain.status, plain.headers.get('content-encoding')]).toEqual([200, null]);
      const text = await first.text();
      expect(text).toContain(part);
      expect(await plain.text()).toBe(text);
      const etag = first.headers.get('etag')!;
      expect(plain.headers.get('etag')).not.toBe(etag);
      const again = await get({ 'accept-encoding': 'gzip, br', 'if-none-match': etag });
      expect([again.status, await again.text()]).toEqual([304, '']);
      expect((await fetch(url, { method: 'HEAD' })).status).toBe(200);
    });

    it('serve no other files of the package', async () => {
      for (const path of ['/docs/package.json', '/docs/', '/docs/index.html'])
        expect((await gateway.call(path)).status).toBe(404);
      expect((await gateway.call('/docs/..%2fpackage.json')).status).toBe(400);
    });
  });
