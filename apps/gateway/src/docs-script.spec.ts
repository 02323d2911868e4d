import { runInNewContext } from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import { script } from './docs-script.ts';

/** The parts of a DOM element that the script of /docs uses. */
class Element {
  tag: string;
  children: (Element | string)[] = [];
  dataset: Record<string, string> = {};
  listeners: Record<string, (event: object) => void> = {};
  textContent = '';
  className = '';
  value = '';
  name = '';
  open = false;

  constructor(tag: string) {
    this.tag = tag;
  }

  get childElementCount(): number {
    return this.children.length;
  }

  append(...children: (Element | string)[]): void {
    this.children.push(...children);
  }

  replaceChildren(...children: (Element | string)[]): void {
    this.children = children;
  }

  addEventListener(name: string, listener: (event: object) => void): void {
    this.listeners[name] = listener;
  }

  setAttribute(): void {}
  removeAttribute(): void {}

  find(matches: (one: Element) => boolean): Element[] {
    return this.children.flatMap((child) =>
      typeof child === 'string' ? [] : [...(matches(child) ? [child] : []), ...child.find(matches)],
    );
  }
}

const operation = { operationId: 'x', tags: ['shop'], responses: {}, parameters: [] };
const openapi = {
  info: { description: '', license: { name: 'MIT' } },
  tags: [{ name: 'shop', description: '' }],
  paths: { '/v1/sessions': { post: operation }, '/v1/me': { get: operation } },
};

/** Runs the script of the page against a fake server. */
async function open(answer: (url: string, init: { headers: Record<string, string> }) => object) {
  const byId = new Map(
    ['about', 'operations', 'find', 'token', 'token-hint'].map((id) => [id, new Element(id)]),
  );
  const settled = () => new Promise((resolve) => setTimeout(resolve, 0));
  runInNewContext(script, {
    document: {
      getElementById: (id: string) => byId.get(id),
      createElement: (tag: string) => new Element(tag),
    },
    fetch: async (url: string, init: { headers: Record<string, string> }) => {
      const body = url === '/openapi.json' ? openapi : answer(url, init);
      const text = JSON.stringify(body);
      return {
        ...{ status: 200, statusText: 'OK', headers: new Map([['x-request-id', 'r-1']]) },
        ...{ text: async () => text, json: async () => JSON.parse(text) as unknown },
      };
    },
    FormData: class {
      get = () => null;
      [Symbol.iterator] = () => [][Symbol.iterator]();
    },
    ...{ performance, URLSearchParams, Object, JSON, Boolean, crypto },
  });
  await settled();
  async function send(path: string): Promise<Element> {
    const [details] = byId.get('operations')!.find(({ dataset }) => (dataset['text'] ?? '').includes(path));
    details!.open = true;
    details!.listeners['toggle']!({});
    const [form] = details!.find(({ tag }) => tag === 'form');
    form!.listeners['submit']!({ preventDefault() {} });
    await settled();
    return form!.find(({ className }) => className === 'answer')[0]!;
  }
  return { send, token: byId.get('token')! };
}

describe('the page /docs', () => {
  it('shows the response body above the response headers', async () => {
    const { send } = await open(() => ({ name: 'Kim' }));
    const texts = (await send('/v1/me'))
      .find(({ tag }) => tag === 'pre')
      .map(({ textContent }) => textContent);
    expect(texts).toEqual([expect.stringContaining('"name": "Kim"'), 'x-request-id: r-1']);
  });

  it.each(['accessToken', 'access_token'])('sends the %s of a sign-in with later requests', async (field) => {
    const sent: (string | undefined)[] = [];
    const { send, token } = await open((_url, { headers }) => {
      sent.push(headers['authorization']);
      return { [field]: 'the-token' };
    });
    await send('/v1/sessions');
    expect(token.value).toBe('the-token');
    await send('/v1/me');
    expect(sent).toEqual([undefined, 'Bearer the-token']);
  });

  it('keeps no token if the response has none', async () => {
    const { send, token } = await open(() => ({ accessToken: 7 }));
    await send('/v1/me');
    expect(token.value).toBe('');
  });
});
