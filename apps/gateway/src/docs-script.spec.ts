import { runInNewContext } from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import { script } from './docs-script.ts';

interface Options {
  spec: typeof openapi;
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

describe('the page /docs', () => {
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
