import { Rejection } from '@jogakbo/contract';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type * as Library from 'oidc-provider';
import type { DataSource } from 'typeorm';
import { recordAudit } from './audit.ts';
import { SignInForm, type Credentials } from './credentials.ts';
import { getPageHeaders, renderConsentPage, renderSignInPage } from './openid-pages.ts';
import { mountPath, type OpenIdProvider } from './openid-provider.ts';

export type Interaction = { Params: { uid: string }; Body: URLSearchParams };
type Request = FastifyRequest<Interaction>;
type Refusal = Parameters<typeof renderSignInPage>[3];

/** The pages on which a member signs in and allows a client to act for them, and their forms. */
export class OpenIdInteractions {
  constructor(
    private readonly errors: typeof Library.errors,
    private readonly openId: OpenIdProvider,
    private readonly getLanguage: (request: FastifyRequest) => string,
    private readonly credentials: Credentials,
    private readonly dataSource: DataSource,
  ) {}

  sendPage = async (request: Request, reply: FastifyReply, refusal?: Refusal) => {
    const { interaction, name } = await this.#read(request, reply);
    const language = this.getLanguage(request);
    const action = `${mountPath}/interaction/${interaction.uid}`;
    reply.headers(getPageHeaders(interaction.params['redirect_uri'] as string));
    if (interaction.prompt.name === 'login')
      return reply.send(renderSignInPage(language, name, action, refusal));
    const scopes = String(interaction.params['scope'] ?? '').split(' ');
    return reply.send(renderConsentPage(language, name, action, scopes));
  };

  signIn = async (request: Request, reply: FastifyReply) => {
    const { client } = await this.#read(request, reply, 'login');
    const form = SignInForm.safeParse(Object.fromEntries(request.body));
    try {
      if (!form.success) throw new Rejection('wrong-credentials', 401);
      const member = await this.credentials.check(form.data.email, form.data.password, request.ip);
      await this.dataSource.transaction((tx) =>
        this.credentials.recordSignIn(tx, member, request.ip, { client: client.clientId }),
      );
      await this.#finish(
        request,
        reply,
        { login: { accountId: member.memberId } },
        { mergeWithLastSubmission: false },
      );
    } catch (error) {
      if (!(error instanceof Rejection)) throw error;
      if (error.retryAfter) reply.header('retry-after', error.retryAfter);
      return this.sendPage(request, reply.code(error.status), error.code as Refusal);
    }
  };

  consent = async (request: Request, reply: FastifyReply) => {
    const { interaction, client } = await this.#read(request, reply, 'consent');
    const { Grant } = this.openId.provider;
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
    await recordAudit(this.dataSource.manager, 'client-allowed', {
      memberId: accountId,
      address: request.ip,
      details: { client: client.clientId, scope: String(interaction.params['scope']) },
    });
    await this.#finish(request, reply, { consent: { grantId } });
  };

  refuse = async (request: Request, reply: FastifyReply) => {
    await this.#read(request, reply);
    await this.#finish(request, reply, { error: 'access_denied' });
  };

  /**
   * Returns the interaction of the browser. It must match both the cookie (SameSite=Lax, so other sites cannot send it) and
   * the id in the URL, which other sites cannot know.
   * @throws SessionNotFound
   */
  async #read(request: Request, reply: FastifyReply, prompt?: string) {
    const { provider } = this.openId;
    const interaction = await provider.interactionDetails(request.raw, reply.raw);
    const isMatching = interaction.uid === request.params.uid;
    if (!isMatching || (prompt && interaction.prompt.name !== prompt))
      throw new this.errors.SessionNotFound('the interaction does not match the URL');
    const client = await provider.Client.find(interaction.params['client_id'] as string);
    if (!client) throw new this.errors.SessionNotFound('unknown client');
    return { interaction, client, name: client.clientName ?? client.clientId };
  }

  /** Lets the library answer: it redirects the browser. */
  async #finish(
    request: Request,
    reply: FastifyReply,
    ...result: Parameters<OpenIdProvider['provider']['interactionFinished']> extends [
      unknown,
      unknown,
      ...infer Rest,
    ]
      ? Rest
      : never
  ): Promise<void> {
    reply.hijack();
    await this.openId.provider.interactionFinished(request.raw, reply.raw, ...result);
  }
}
