import type { PageAnswer, PageRequest } from '@jogakbo/contract';
import { RabbitClient, toSplitKey, type CallContext } from '@jogakbo/messaging';
import { Injectable } from '@nestjs/common';
import type { RequestContext } from './request-context.ts';
import { negotiateLanguage } from './language.ts';
import type { Route } from './routes.ts';
import { GatewaySettings } from './settings.ts';

export const form = 'application/x-www-form-urlencoded';

/** Everything else that a client sends stays here, but cookies of the pages' own. */
const requestHeaders = ['accept', 'accept-language', 'authorization', 'content-type', 'origin'] as const;
/** What an answer may say. Which pages of other origins may read it is the gateway's to say, and nobody keeps it. */
const responseHeaders = [
  ...['content-type', 'content-language', 'location', 'www-authenticate', 'retry-after', 'allow'],
  ...['content-security-policy', 'x-frame-options', 'referrer-policy'],
];

/**
 * Takes requests for pages that a service answers itself, as they are, over the bus: the service needs no port of its own,
 * and where a request comes from is told by the gateway alone. Its answer goes back as it is, if it is no fault.
 */
@Injectable()
export class PagesOfServices {
  constructor(
    private readonly client: RabbitClient,
    private readonly settings: GatewaySettings,
  ) {}

  /** @throws Rejection @throws RemoteFault */
  async answer({ contract, policy, pages }: Route, context: RequestContext): Promise<void> {
    const { headers } = context;
    const callContext: CallContext = {
      ...context.trace,
      language: negotiateLanguage(headers['accept-language']),
      address: context.address,
      splitKey: toSplitKey(context.address),
    };
    const cookie = mayBring(context) ? filterCookies(headers['cookie'], pages!.cookies) : '';
    const passed = requestHeaders.flatMap((name) => {
      const value = headers[name];
      return value === undefined ? [] : [[name, value] as const];
    });
    const asked: PageRequest = {
      method: context.method === 'POST' ? 'POST' : 'GET',
      url: context.url,
      headers: { ...Object.fromEntries(passed), ...(cookie && { cookie }) },
      ...(typeof context.body === 'string' && { body: context.body }),
    };
    const said = (await this.client.request(contract.name, asked, {
      ...{ context: callContext, policy, timeout: this.settings.requestTimeout, persistent: true },
      sensitive: contract.sensitive,
    })) as PageAnswer;
    if (!(said.status >= 200 && said.status < 500))
      throw new Error(`${contract.name} answered with ${said.status}`);
    show(said, pages!, context);
  }
}

/**
 * A form of another origin comes without cookies: it cannot speak for whoever is signed in here. A link may, for that is
 * how others send members here.
 */
function mayBring({ method, headers }: RequestContext): boolean {
  if (method !== 'POST') return true;
  const site = headers['sec-fetch-site'];
  if (site !== undefined) return site === 'same-origin';
  const { origin, host } = headers;
  return origin === undefined || (URL.canParse(origin) && new URL(origin).host === host);
}

/** Of the header Cookie what begins so. */
function filterCookies(header: string | undefined, beginning: string): string {
  const cookies = (header ?? '').split(';').map((cookie) => cookie.trim());
  return cookies.filter((cookie) => cookie.startsWith(beginning)).join('; ');
}

function show(
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

/** Whether a cookie stays with the pages that set it. */
function isPageCookie({ path, cookies }: NonNullable<Route['pages']>, cookie: string): boolean {
  const [, at = '/'] = /; *path=([^;]*)/i.exec(cookie) ?? [];
  const isElsewhere = /; *domain=/i.test(cookie) || !(at === path || at.startsWith(`${path}/`));
  return cookie.startsWith(cookies) && !isElsewhere;
}
