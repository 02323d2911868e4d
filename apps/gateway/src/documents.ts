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
import { DocsAssets } from './docs-assets.ts';
import { buildDocsPage, type DocsPage } from './docs-page.ts';
import type { RequestContext } from './request-context.ts';
import { createHomeIndex, createHomePage, homePolicy } from './home-page.ts';
import { KnownServices } from './known-services.ts';
import { assertionKeysPath, MemberAssertions } from './member-assertion.ts';
import { Representation } from './representation.ts';
import type { RouteTable } from './routes.ts';
import { GatewaySettings } from './settings.ts';

const version = '1';

const json = 'application/json';
/** Characters of the Accept header that are read. Browsers send fewer. */
const maxAcceptLength = 500;
const text = { type: 'string' };
/** Health indicators by name. */
const indicators = {
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
  properties: { status: text, info: indicators, error: indicators, details: indicators },
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
const unchanged = { description: 'Not modified: the client has the current version.' };
const ownRoutes: OwnRoute[] = [
  {
    path: '/health/live',
    operationId: 'gateway.live',
    summary: 'Liveness of the gateway',
    responses: { 200: { description: 'The gateway is running.', mediaType: json, schema: health } },
  },
  {
    path: '/health/ready',
    operationId: 'gateway.ready',
    summary: 'Readiness to serve requests',
    responses: {
      200: { description: 'Ready.', mediaType: json, schema: health },
      503: { description: 'Not ready, with the reasons.', mediaType: json, schema: health },
    },
  },
  {
    path: '/openapi.json',
    operationId: 'gateway.openapi',
    summary: 'This OpenAPI document',
    responses: {
      200: { description: 'OpenAPI 3.1.', mediaType: json, schema: { type: 'object' } },
      304: unchanged,
    },
  },
  {
    path: '/asyncapi.json',
    operationId: 'gateway.asyncapi',
    summary: 'Messages on the event bus, as AsyncAPI',
    responses: {
      200: { description: 'AsyncAPI 3.0.', mediaType: json, schema: { type: 'object' } },
      304: unchanged,
    },
  },
  {
    path: assertionKeysPath,
    operationId: 'gateway.assertion-keys',
    summary: 'Keys to verify member assertions of the gateway',
    responses: {
      200: { description: 'A JSON Web Key Set (RFC 7517).', mediaType: json, schema: keySet },
      304: unchanged,
    },
  },
  {
    path: '/docs',
    operationId: 'gateway.docs',
    summary: 'Interactive API documentation',
    responses: { 200: { description: 'An HTML page.', mediaType: 'text/html', schema: text } },
  },
];

/** Serves the OpenAPI and AsyncAPI documents of the running system, and the pages `/` and `/docs`. */
@Injectable()
export class Documents {
  readonly #assets = new DocsAssets();
  readonly #rendered = new Map<string, { table: RouteTable; document: Representation }>();

  constructor(
    private readonly services: KnownServices,
    private readonly settings: GatewaySettings,
    private readonly assertions: MemberAssertions,
  ) {}

  /** @returns true if the path is one of the documents and the response was sent */
  answer(context: RequestContext): boolean {
    const { path } = context;
    if (path === '/' && !this.#isRootAnnounced()) this.#sendHome(context);
    else if (path === '/docs') this.#sendPage(context, buildDocsPage());
    else if (path === '/openapi.json') this.#send(context, () => this.#openApi(this.#servedContracts()));
    else if (path === '/asyncapi.json') this.#send(context, () => this.#asyncApi());
    else if (path === assertionKeysPath) this.#send(context, () => ({ ...this.assertions.keySet }));
    else return this.#assets.answer(context);
    return true;
  }

  /** Whether a service announces `GET /`. */
  #isRootAnnounced(): boolean {
    return this.services.table.find('GET', '/').found === 'route';
  }

  /** Sends HTML to clients that prefer it, else the same as JSON. */
  #sendHome(context: RequestContext): void {
    const { title } = this.settings;
    context.append('vary', 'Accept');
    const accept = context.headers.accept?.slice(0, maxAcceptLength);
    const preferred = new Negotiator({ headers: { accept } }).mediaType([json, 'text/html']);
    if (preferred === 'text/html')
      return this.#sendPage(context, { html: createHomePage(title), policy: homePolicy });
    context.route = context.path;
    context.header('cache-control', 'no-cache').header('content-type', `${json}; charset=utf-8`);
    context.send(200, JSON.stringify(createHomeIndex(title)));
  }

  #sendPage(context: RequestContext, { html, policy }: DocsPage): void {
    context.route = context.path;
    context
      .setHeaders({
        'content-security-policy': policy,
        'cache-control': 'no-cache',
        'content-type': 'text/html; charset=utf-8',
      })
      .send(200, html);
  }

  /** Renders a document once per route table. */
  #send(context: RequestContext, render: () => JsonSchema): void {
    const { path } = context;
    context.route = path;
    const { table } = this.services;
    let rendered = this.#rendered.get(path);
    if (rendered?.table !== table) {
      const text = JSON.stringify(render());
      const etag = `W/"${createHash('sha1').update(text).digest('base64url')}"`;
      rendered = { table, document: new Representation(text, etag) };
      this.#rendered.set(path, rendered);
    }
    context.header('cache-control', 'no-cache').sendRepresentation(200, rendered.document);
  }

  /** The announced contracts without rejected routes. */
  #servedContracts(): ServiceDescription[] {
    const { contracts, externalContracts, table } = this.services;
    const served = new Set(table.routes.map(({ contract }) => contract));
    return [...contracts, ...externalContracts].map((one) => ({
      ...one,
      requests: one.requests.map((request) =>
        served.has(request) ? request : { ...request, http: undefined },
      ),
    }));
  }

  #openApi(services: ServiceDescription[]): JsonSchema {
    return renderOpenApi(services, {
      title: this.settings.title,
      version,
      description: 'The public API of the store, as announced by its running services.',
      serverUrl: this.settings.publicUrl,
      license: { name: 'MIT', identifier: 'MIT' },
      languages: this.settings.languages,
      own: { tag: 'gateway', description: 'The gateway itself.', routes: ownRoutes },
    });
  }

  #asyncApi(): JsonSchema {
    return renderAsyncApi(this.services.contracts, {
      title: this.settings.title,
      version,
      description: 'The messages that the services of the store exchange over RabbitMQ.',
      license: { name: 'MIT' },
    });
  }
}
