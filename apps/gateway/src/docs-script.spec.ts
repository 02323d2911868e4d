import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import { script } from './docs-script.ts';

/** An element of React: its type and children. */
type Element = [type: string, ...children: (Element | string)[]];

interface Options {
  spec: typeof openapi;
  plugins: ((system: object) => {
    wrapComponents: { Markdown: () => (props: { source?: string }) => Element | null };
  })[];
  responseInterceptor: (response: { body?: object }) => object;
}

const createKey = () => ({ name: 'Idempotency-Key', in: 'header', example: undefined });
const openapi = {
  paths: {
    '/v1/sessions': { post: { parameters: [createKey()] }, delete: {} },
    '/v1/loans': { post: { parameters: [createKey(), { ...createKey(), name: 'Prefer' }] } },
  },
};

/** Runs the script of the page with stand-ins for the browser and Swagger UI. */
async function open({ isDark = false } = {}) {
  const classes = new Set<string>();
  const tokens: [string, string][] = [];
  let options: Options | undefined;
  runInNewContext(script, {
    matchMedia: () => ({ matches: isDark, addEventListener: () => {} }),
    document: {
      documentElement: {
        classList: {
          toggle: (name: string, on: boolean) => (on ? classes.add(name) : classes.delete(name)),
        },
      },
    },
    fetch: async () => ({ json: async () => structuredClone(openapi) }),
    SwaggerUIBundle: (given: Options) => {
      options = given;
      return { preauthorizeApiKey: (name: string, token: string) => tokens.push([name, token]) };
    },
    crypto,
    String,
    Object,
  });
  await new Promise((resolve) => setTimeout(resolve, 0));
  return { classes, tokens, options: options! };
}

/** Shows a text of the document with the component of the page. */
async function showText(source?: string) {
  const [plugin] = (await open()).options.plugins;
  const createElement = (type: string, _props: unknown, ...children: Element[]): Element => [
    type,
    ...children,
  ];
  const Markdown = plugin!({ React: { createElement } }).wrapComponents.Markdown();
  return structuredClone(Markdown({ ...(source !== undefined && { source }) }));
}

describe('the page /docs', () => {
  it.each([
    'a [link](https://example.com), https://example.com and ![an image](https://example.com/i.png)',
    '<a href="https://example.com">a link</a><img src="x" onerror="alert(1)"><style>p{}</style>',
    '# A heading\n\n- a list',
  ])('shows texts as they are: %j', async (text) => {
    expect(await showText(text)).toEqual(['div', ['p', text]]);
  });

  it('shows code, and the labels of Swagger UI', async () => {
    expect(await showText('with `a` or `b`')).toEqual([
      'div',
      ['p', 'with ', ['code', 'a'], ' or ', ['code', 'b'], ''],
    ]);
    expect(await showText('<i>Example</i> : 1')).toEqual(['div', ['p', 'Example : 1']]);
    for (const nothing of ['', undefined]) expect(await showText(nothing)).toBeNull();
  });

  it('replaces a component that Swagger UI has', () => {
    const bundle = createRequire(import.meta.url).resolve('swagger-ui-dist/swagger-ui-bundle.js');
    expect(readFileSync(bundle, 'utf8').includes('("Markdown",!0)')).toBe(true);
  });

  it.each(['accessToken', 'access_token'])('sends the %s of a sign-in with later requests', async (field) => {
    const { options, tokens } = await open();
    const response = { body: { [field]: 'the-token' } };
    expect(options.responseInterceptor(response)).toBe(response);
    expect(tokens).toEqual([['bearer', 'the-token']]);
  });

  it('keeps no token if the response has none', async () => {
    const { options, tokens } = await open();
    for (const body of [{ accessToken: 7 }, undefined]) options.responseInterceptor({ body });
    expect(tokens).toEqual([]);
  });

  it('fills in another Idempotency-Key for each operation', async () => {
    const { paths } = (await open()).options.spec;
    const [first, second] = [paths['/v1/sessions'].post, paths['/v1/loans'].post].map(
      ({ parameters }) => parameters[0]!.example,
    );
    expect(first).toMatch(/^[\da-f-]{36}$/);
    expect(second).toMatch(/^[\da-f-]{36}$/);
    expect(second).not.toBe(first);
    expect(paths['/v1/loans'].post.parameters[1]).toEqual({ name: 'Prefer', in: 'header' });
  });

  it('is dark if the system is', async () => {
    expect((await open()).classes.has('dark-mode')).toBe(false);
    expect((await open({ isDark: true })).classes.has('dark-mode')).toBe(true);
  });
});
