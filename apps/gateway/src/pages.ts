import type { PageAnswer, PageRequest } from '@jogakbo/contract';
import { RabbitClient, toSplitKey, type CallContext } from '@jogakbo/messaging';
import { negotiateLanguage } from '@jogakbo/service/negotiate-language';
import { Injectable } from '@nestjs/common';
import type { RequestContext } from './request-context.ts';
import type { Route } from './routes.ts';
import { GatewaySettings } from './settings.ts';

export const formType = 'application/x-www-form-urlencoded';

/** The client headers that are forwarded, besides the pages' own cookies. */
const requestHeaders = ['accept', 'accept-language', 'authorization', 'content-type', 'origin'] as const;
/** The response headers that are forwarded. The gateway sets CORS and Cache-Control itself. */
const responseHeaders = [
  'content-type',
  'content-language',
  'location',
  'www-authenticate',
  'retry-after',
  'allow',
  'content-security-policy',
  'x-frame-options',
  'referrer-policy',
];

/**
 * Forwards requests for pages unchanged to their service, over the bus. So the service needs no public port, and only the
 * gateway sets the client address. Responses are returned unchanged, except 5xx.
 */
@Injectable()
export class ServicePages {
  constructor(
    private readonly client: RabbitClient,
    private readonly settings: GatewaySettings,
  ) {}

  /** @throws Rejection @throws RemoteFault */
  async answer({ contract, policy, pages }: Route, context: RequestContext): Promise<void> {
    const { headers } = context;
    const callContext: CallContext = {
      ...context.trace,
      language: negotiateLanguage(headers['accept-language'], this.settings.languages),
      address: context.address,
      splitKey: toSplitKey(context.address),
    };
    const cookie = canSendCookies(context) ? filterCookies(headers['cookie'], pages!.cookies) : '';
    const passed = requestHeaders.flatMap((name) => {
      const value = headers[name];
      return value === undefined ? [] : [[name, value] as const];
    });
    const request: PageRequest = {
      method: context.method === 'POST' ? 'POST' : 'GET',
      url: context.url,
      headers: { ...Object.fromEntries(passed), ...(cookie && { cookie }) },
      ...(typeof context.body === 'string' && { body: context.body }),
    };
    const answer = (await this.client.request(contract.name, request, {
      context: callContext,
      policy,
      timeout: this.settings.requestTimeout,
      kind: 'command',
      sensitive: contract.sensitive,
    })) as PageAnswer;
    if (!(answer.status >= 200 && answer.status < 500))
      throw new Error(`${contract.name} answered with status ${answer.status}`);
    sendPage(answer, pages!, context);
  }
}

/**
 * Whether the service gets the cookies of a request. Cross-origin forms get none (CSRF protection). Cross-origin links do,
 * because other sites redirect members to these pages.
 */
function canSendCookies({ method, headers }: RequestContext): boolean {
  if (method !== 'POST') return true;
  const site = headers['sec-fetch-site'];
  if (site !== undefined) return site === 'same-origin';
  const { origin, host } = headers;
  return origin === undefined || (URL.canParse(origin) && new URL(origin).host === host);
}

/** The cookies whose names start with the prefix. */
function filterCookies(header: string | undefined, prefix: string): string {
  const cookies = (header ?? '').split(';').map((cookie) => cookie.trim());
  return cookies.filter((cookie) => cookie.startsWith(prefix)).join('; ');
}

function sendPage(
  { status, headers, body }: PageAnswer,
  pages: NonNullable<Route['pages']>,
  context: RequestContext,
): void {
  for (const name of responseHeaders) {
    const value = headers[name];
    if (value !== undefined) context.header(name, [value].flat().join(', '));
  }
  const cookies = [headers['set-cookie'] ?? []].flat().filter((cookie) => isPageCookie(pages, cookie));
  if (cookies.length > 0) context.header('set-cookie', cookies);
  if (headers['vary']) context.append('vary', [headers['vary']].flat().join(', '));
  context.header('cache-control', 'no-store').send(status, body === '' ? undefined : body);
}

/** Whether a cookie has the declared name prefix and is limited to the path of its pages. */
function isPageCookie({ path, cookies }: NonNullable<Route['pages']>, cookie: string): boolean {
  const [, at = '/'] = /; *path=([^;]*)/i.exec(cookie) ?? [];
  const isElsewhere = /; *domain=/i.test(cookie) || !(at === path || at.startsWith(`${path}/`));
  return cookie.startsWith(cookies) && !isElsewhere;
}
