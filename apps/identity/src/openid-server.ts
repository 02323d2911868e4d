import { Rejection } from '@jogakbo/contract';
import { Logger } from '@nestjs/common';
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type * as Library from 'oidc-provider';
import type { DataSource } from 'typeorm';
import { recordAudit } from './audit.ts';
import { SignInForm, type Credentials } from './credentials.ts';
import { getPageHeaders, renderConsentPage, renderProblemPage, renderSignInPage } from './openid-pages.ts';
import { endpoints, mountPath, type OpenIdProvider } from './openid-provider.ts';
import { chooseLanguage } from './openid-texts.ts';
import type { IdentitySettings } from './settings.ts';

type Interaction = { Params: { uid: string }; Body: URLSearchParams };

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
  const logger = new Logger('OpenId');
  const issuer = new URL(tokenIssuer);
  const server = fastify();
  const getLanguage = ({ headers }: FastifyRequest) => chooseLanguage(headers['accept-language'], languages);

  /** Overwrites host and forwarding headers, so that all generated URLs begin with the issuer. */
  const setIssuerHeaders = (request: FastifyRequest): void => {
    const { headers } = request.raw;
    headers.host = issuer.host;
    headers['x-forwarded-proto'] = issuer.protocol.slice(0, -1);
    for (const name of ['x-forwarded-host', 'x-forwarded-for', 'forwarded']) delete headers[name];
  };

  void server.register((scope, _options, registered) => {
    scope.removeAllContentTypeParsers();
    // The library reads bodies itself.
    scope.addContentTypeParser('*', (_request, _body, done) => done(null));
    for (const path of [`${mountPath}/*`, '/.well-known/openid-configuration']) {
      scope.all(path, (request, reply) => {
        setIssuerHeaders(request);
        reply.hijack();
        void openId.provider.callback()(request.raw, reply.raw);
      });
    }
    registered();
  });

  void server.register((scope, _options, registered) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(
      'application/x-www-form-urlencoded',
      { parseAs: 'string', bodyLimit: 4_096 },
      (_, body, done) => done(null, new URLSearchParams(body as string)),
    );
    scope.addHook('onRequest', (request, reply, done) => {
      setIssuerHeaders(request);
      reply.headers(getPageHeaders()).type('text/html; charset=utf-8');
      const { origin } = request.headers;
      const isSameOrigin = origin === undefined || origin === issuer.origin;
      if (request.method === 'POST' && !isSameOrigin && request.url !== endpoints.authorization)
        throw new errors.SessionNotFound('the form is from another origin');
      done();
    });
    scope.setErrorHandler((error: Error & { statusCode?: number }, request, reply) => {
      const isClientError = error instanceof errors.OIDCProviderError || (error.statusCode ?? 500) < 500;
      if (!isClientError) logger.error(error);
      void reply
        .code(isClientError ? 400 : 500)
        .type('text/html; charset=utf-8')
        .send(renderProblemPage(getLanguage(request)));
    });
    // Redirects to GET (OpenID Connect Core 1.0, 3.1.2.1): a cross-site POST carries no SameSite=Lax cookies.
    scope.post<{ Body: URLSearchParams }>(endpoints.authorization, (request, reply) =>
      reply.redirect(`${endpoints.authorization}?${request.body}`, 303),
    );
    const path = `${mountPath}/interaction/:uid`;
    scope.get<Interaction>(path, (request, reply) => sendPage(request, reply));
    scope.post<Interaction>(`${path}/sign-in`, signIn);
    scope.post<Interaction>(`${path}/consent`, consent);
    scope.post<Interaction>(`${path}/refuse`, refuse);
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

  /**
   * Returns the interaction of the browser. It must match both the cookie (SameSite=Lax, so other sites cannot send it) and
   * the id in the URL, which other sites cannot know.
   * @throws SessionNotFound
   */
  async function readInteraction(request: FastifyRequest<Interaction>, reply: FastifyReply, prompt?: string) {
    const interaction = await openId.provider.interactionDetails(request.raw, reply.raw);
    const isMatching = interaction.uid === request.params.uid;
    if (!isMatching || (prompt && interaction.prompt.name !== prompt))
      throw new errors.SessionNotFound('the interaction does not match the URL');
    const client = await openId.provider.Client.find(interaction.params['client_id'] as string);
    if (!client) throw new errors.SessionNotFound('unknown client');
    return { interaction, client, name: client.clientName ?? client.clientId };
  }

  async function sendPage(
    request: FastifyRequest<Interaction>,
    reply: FastifyReply,
    refusal?: Parameters<typeof renderSignInPage>[3],
  ) {
    const { interaction, name } = await readInteraction(request, reply);
    const language = getLanguage(request);
    const action = `${mountPath}/interaction/${interaction.uid}`;
    reply.headers(getPageHeaders(interaction.params['redirect_uri'] as string));
    if (interaction.prompt.name === 'login')
      return reply.send(renderSignInPage(language, name, action, refusal));
    return reply.send(
      renderConsentPage(language, name, action, String(interaction.params['scope'] ?? '').split(' ')),
    );
  }

  async function signIn(request: FastifyRequest<Interaction>, reply: FastifyReply) {
    const { client } = await readInteraction(request, reply, 'login');
    const form = SignInForm.safeParse(Object.fromEntries(request.body));
    try {
      if (!form.success) throw new Rejection('wrong-credentials', 401);
      const member = await credentials.check(form.data.email, form.data.password, request.ip);
      await dataSource.transaction((tx) =>
        credentials.recordSignIn(tx, member, request.ip, { client: client.clientId }),
      );
      reply.hijack();
      const login = { accountId: member.memberId };
      await openId.provider.interactionFinished(
        request.raw,
        reply.raw,
        { login },
        { mergeWithLastSubmission: false },
      );
    } catch (error) {
      if (!(error instanceof Rejection)) throw error;
      if (error.retryAfter) reply.header('retry-after', error.retryAfter);
      return sendPage(
        request,
        reply.code(error.status),
        error.code as Parameters<typeof renderSignInPage>[3],
      );
    }
  }

  async function consent(request: FastifyRequest<Interaction>, reply: FastifyReply) {
    const { interaction, client } = await readInteraction(request, reply, 'consent');
    const { Grant } = openId.provider;
    const { accountId } = interaction.session!;
    const known = interaction.grantId ? await Grant.find(interaction.grantId) : undefined;
    const grant = known ?? new Grant({ accountId, clientId: client.clientId });
    const { missingOIDCScope = [], missingOIDCClaims = [] } = interaction.prompt.details as Record<
      string,
      string[]
    >;
    if (missingOIDCScope.length > 0) grant.addOIDCScope(missingOIDCScope.join(' '));
    if (missingOIDCClaims.length > 0) grant.addOIDCClaims(missingOIDCClaims);
    const grantId = await grant.save();
    await recordAudit(dataSource.manager, 'client-allowed', {
      memberId: accountId,
      address: request.ip,
      details: { client: client.clientId, scope: String(interaction.params['scope']) },
    });
    reply.hijack();
    await openId.provider.interactionFinished(request.raw, reply.raw, { consent: { grantId } });
  }

  async function refuse(request: FastifyRequest<Interaction>, reply: FastifyReply) {
    await readInteraction(request, reply);
    reply.hijack();
    await openId.provider.interactionFinished(request.raw, reply.raw, { error: 'access_denied' });
  }
}
