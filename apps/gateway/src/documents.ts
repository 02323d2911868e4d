import { createHash } from 'node:crypto';
import {
  renderAsyncApi,
  renderOpenApi,
  type JsonSchema,
  type OwnRoute,
  type ServiceDescription,
} from '@jogakbo/contract';
import { Injectable } from '@nestjs/common';
import Negotiator from 'negotiator';
import { page, script, style } from './docs-page.ts';
import type { RequestContext } from './request-context.ts';
import { homeIndex, homePage } from './home-page.ts';
import { KnownServices } from './known-services.ts';
import { assertionKeysPath, MemberAssertions } from './member-assertion.ts';
import type { RouteTable } from './routes.ts';
import { GatewaySettings } from './settings.ts';

const title = 'Jogakbo';
const version = '1';

const json = 'application/json';
/** Characters of the header Accept that are read: more than any browser sends. */
const longestAccept = 500;
const text = { type: 'string' };
/** What holds and what does not, by name. */
const conditions = {
  type: 'object',
  additionalProperties: {
    type: 'object',
    properties: { status: text, reason: text },
    required: ['status'],
    additionalProperties: false,
  },
};
const health = {
  type: 'object',
  properties: { status: text, info: conditions, error: conditions, details: conditions },
  required: ['status'],
  additionalProperties: false,
};
const keyFields = ['kty', 'crv', 'x', 'kid', 'use', 'alg'];
const keySet = {
  type: 'object',
  properties: {
    keys: {
      type: 'array',
      items: {
        type: 'object',
        properties: Object.fromEntries(keyFields.map((field) => [field, text])),
        required: keyFields,
        additionalProperties: false,
      },
    },
  },
  required: ['keys'],
  additionalProperties: false,
};
const unchanged = { description: 'It is what you have already.' };
const own: OwnRoute[] = [
  {
    path: '/health/live',
    operationId: 'gateway.live',
    summary: 'Whether the gateway runs',
    responses: { 200: { description: 'It does.', mediaType: json, schema: health } },
  },
  {
    path: '/health/ready',
    operationId: 'gateway.ready',
    summary: 'Whether an order can be served',
    responses: {
      200: { description: 'It can.', mediaType: json, schema: health },
      503: { description: 'It cannot, with the reasons.', mediaType: json, schema: health },
    },
  },
  {
    path: '/openapi.json',
    operationId: 'gateway.openapi',
    summary: 'This document',
    responses: {
      200: { description: 'OpenAPI 3.1.', mediaType: json, schema: { type: 'object' } },
      304: unchanged,
    },
  },
  {
    path: '/asyncapi.json',
    operationId: 'gateway.asyncapi',
    summary: 'What travels on the event bus',
    responses: {
      200: { description: 'AsyncAPI 3.0.', mediaType: json, schema: { type: 'object' } },
      304: unchanged,
    },
  },
  {
    path: assertionKeysPath,
    operationId: 'gateway.assertion-keys',
    summary: 'Keys that verify what the gateway asserts about members',
    responses: {
      200: { description: 'A JSON Web Key Set (RFC 7517).', mediaType: json, schema: keySet },
      304: unchanged,
    },
  },
  {
    path: '/docs',
    operationId: 'gateway.docs',
    summary: 'A page to read and try the API',
    responses: { 200: { description: 'The page.', mediaType: 'text/html', schema: text } },
  },
];

const sha256 = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

/** The page at the root runs nothing. */
const homePolicy = [
  "default-src 'none'",
  `style-src ${sha256(style)}`,
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** The page may run its own script and style, talk to its own origin, and nothing else. */
const pagePolicy = [
  "default-src 'none'",
  `script-src ${sha256(script)}`,
  `style-src ${sha256(style)}`,
  "connect-src 'self'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** The whole API as the running system announces it, and a page to try it. */
@Injectable()
export class Documents {
  readonly #rendered = new Map<string, { table: RouteTable; text: string; etag: string }>();

  constructor(
    private readonly services: KnownServices,
    private readonly settings: GatewaySettings,
    private readonly assertions: MemberAssertions,
  ) {}

  /** @returns whether one of them was asked for, and is answered */
  answer(context: RequestContext): boolean {
    const { path } = context;
    if (path === '/' && !this.#isAnnounced()) this.#sendHome(context);
    else if (path === '/docs') this.#sendPage(context, pagePolicy, page);
    else if (path === '/openapi.json') this.#send(context, () => this.#openApi(this.#servedContracts()));
    else if (path === '/asyncapi.json') this.#send(context, () => asyncApi(this.services.contracts));
    else if (path === assertionKeysPath) this.#send(context, () => ({ ...this.assertions.keySet }));
    else return false;
    return true;
  }

  /** Whether a service has a page of its own at the root. */
  #isAnnounced(): boolean {
    return this.services.table.find('GET', '/').found === 'route';
  }

  /** For browsers a page; for all who do not prefer one, the same as JSON. */
  #sendHome(context: RequestContext): void {
    context.append('vary', 'Accept');
    const accept = context.headers.accept?.slice(0, longestAccept);
    const preferred = new Negotiator({ headers: { accept } }).mediaType([json, 'text/html']);
    if (preferred === 'text/html') return this.#sendPage(context, homePolicy, homePage);
    context.route = context.path;
    context.header('cache-control', 'no-cache').header('content-type', `${json}; charset=utf-8`);
    context.send(200, JSON.stringify(homeIndex));
  }

  #sendPage(context: RequestContext, policy: string, content: string): void {
    context.route = context.path;
    context
      .setHeaders({
        ...{ 'content-security-policy': policy, 'cache-control': 'no-cache' },
        'content-type': 'text/html; charset=utf-8',
      })
      .send(200, content);
  }

  /** Rendered once for what is announced now. */
  #send(context: RequestContext, render: () => JsonSchema): void {
    const { path } = context;
    context.route = path;
    const { table } = this.services;
    let rendered = this.#rendered.get(path);
    if (rendered?.table !== table) {
      const text = JSON.stringify(render());
      const etag = `W/"${createHash('sha1').update(text).digest('base64url')}"`;
      rendered = { table, text, etag };
      this.#rendered.set(path, rendered);
    }
    const { text, etag } = rendered;
    context.header('cache-control', 'no-cache').sendRepresentation(200, text, etag);
  }

  /** What was announced, without the routes that were refused. */
  #servedContracts(): ServiceDescription[] {
    const { contracts, foreignContracts, table } = this.services;
    const served = new Set(table.routes.map(({ contract }) => contract));
    return [...contracts, ...foreignContracts].map((one) => ({
      ...one,
      requests: one.requests.map((request) =>
        served.has(request) ? request : { ...request, http: undefined },
      ),
    }));
  }

  #openApi(services: ServiceDescription[]): JsonSchema {
    return renderOpenApi(services, {
      title,
      version,
      description: 'The public API of the store, as its running services announce it.',
      serverUrl: this.settings.publicUrl,
      license: { name: 'MIT', identifier: 'MIT' },
      own: { tag: 'gateway', description: 'The gateway itself.', routes: own },
    });
  }
}

function asyncApi(services: ServiceDescription[]): JsonSchema {
  return renderAsyncApi(services, {
    title,
    version,
    description: 'What the services of the store say to each other over RabbitMQ.',
    license: { name: 'MIT' },
  });
}
