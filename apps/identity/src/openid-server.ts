import { Logger } from '@nestjs/common';
import { fastify, type FastifyInstance, type FastifyRequest } from 'fastify';
import type * as Library from 'oidc-provider';
import type { DataSource } from 'typeorm';
import type { Credentials } from './credentials.ts';
import { type Interaction, OpenIdInteractions } from './openid-interactions.ts';
import { getPageHeaders, renderProblemPage } from './openid-pages.ts';
import { endpoints, mountPath, type OpenIdProvider } from './openid-provider.ts';
import { chooseLanguage } from './openid-texts.ts';
import type { IdentitySettings } from './settings.ts';

/**
 * Creates the server for protocol endpoints and pages. It listens on no port: requests are injected.
 */
export async function createOpenIdServer(
  { errors }: typeof Library,
  openId: OpenIdProvider,
  { tokenIssuer, languages }: Pick<IdentitySettings, 'tokenIssuer' | 'languages'>,
  credentials: Credentials,
  dataSource: DataSource,
): Promise<FastifyInstance> {
  const issuer = new URL(tokenIssuer);
  const getLanguage = ({ headers }: FastifyRequest) => chooseLanguage(headers['accept-language'], languages);
  const interactions = new OpenIdInteractions(errors, openId, getLanguage, credentials, dataSource);
  const server = fastify();
  void server.register((scope, _options, registered) => {
    addProtocolEndpoints(scope, openId, issuer);
    registered();
  });
  void server.register((scope, _options, registered) => {
    acceptForms(scope, errors, issuer);
    sendProblemPages(scope, errors, getLanguage);
    addPages(scope, interactions);
    registered();
  });
  server.setNotFoundHandler((request, reply) =>
    reply
      .code(404)
      .headers(getPageHeaders())
      .type('text/html; charset=utf-8')
      .send(renderProblemPage(getLanguage(request))),
  );
  await server.ready();
  return server;
}

/** Overwrites host and forwarding headers, so that all generated URLs begin with the issuer. */
function setIssuerHeaders({ raw: { headers } }: FastifyRequest, issuer: URL): void {
  headers.host = issuer.host;
  headers['x-forwarded-proto'] = issuer.protocol.slice(0, -1);
  for (const name of ['x-forwarded-host', 'x-forwarded-for', 'forwarded']) delete headers[name];
}

function addProtocolEndpoints(scope: FastifyInstance, openId: OpenIdProvider, issuer: URL): void {
  scope.removeAllContentTypeParsers();
  // The library reads bodies itself.
  scope.addContentTypeParser('*', (_request, _body, done) => done(null));
  for (const path of [`${mountPath}/*`, '/.well-known/openid-configuration']) {
    scope.all(path, (request, reply) => {
      setIssuerHeaders(request, issuer);
      reply.hijack();
      void openId.provider.callback()(request.raw, reply.raw);
    });
  }
}

/** Reads forms, and only those that the store's own pages send. */
function acceptForms(scope: FastifyInstance, errors: typeof Library.errors, issuer: URL): void {
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string', bodyLimit: 4_096 },
    (_, body, done) => done(null, new URLSearchParams(body as string)),
  );
  scope.addHook('onRequest', (request, reply, done) => {
    setIssuerHeaders(request, issuer);
    reply.headers(getPageHeaders()).type('text/html; charset=utf-8');
    const { origin } = request.headers;
    const isSameOrigin = origin === undefined || origin === issuer.origin;
    if (request.method === 'POST' && !isSameOrigin && request.url !== endpoints.authorization)
      throw new errors.SessionNotFound('the form is from another origin');
    done();
  });
}

function sendProblemPages(
  scope: FastifyInstance,
  errors: typeof Library.errors,
  getLanguage: (request: FastifyRequest) => string,
): void {
  const logger = new Logger('OpenId');
  scope.setErrorHandler((error: Error & { statusCode?: number }, request, reply) => {
    const isClientError = error instanceof errors.OIDCProviderError || (error.statusCode ?? 500) < 500;
    if (!isClientError) logger.error(error);
    void reply
      .code(isClientError ? 400 : 500)
      .type('text/html; charset=utf-8')
      .send(renderProblemPage(getLanguage(request)));
  });
}

function addPages(scope: FastifyInstance, interactions: OpenIdInteractions): void {
  // Redirects to GET (OpenID Connect Core 1.0, 3.1.2.1): a cross-site POST carries no SameSite=Lax cookies.
  scope.post<{ Body: URLSearchParams }>(endpoints.authorization, (request, reply) =>
    reply.redirect(`${endpoints.authorization}?${request.body}`, 303),
  );
  const path = `${mountPath}/interaction/:uid`;
  scope.get<Interaction>(path, (request, reply) => interactions.sendPage(request, reply));
  scope.post<Interaction>(`${path}/sign-in`, interactions.signIn);
  scope.post<Interaction>(`${path}/consent`, interactions.consent);
  scope.post<Interaction>(`${path}/refuse`, interactions.refuse);
}
