import { createHmac } from 'node:crypto';
import type { StorageEncryption } from '@jogakbo/consistency';
import { AnswerPage } from '@jogakbo/contracts-identity';
import { Logger } from '@nestjs/common';
import type * as Library from 'oidc-provider';
import type { Configuration, KoaContextWithOIDC, Provider } from 'oidc-provider';
import type { DataSource } from 'typeorm';
import { recordAudit } from './audit.ts';
import { Member } from './member.ts';
import { clientMetadata } from './openid-clients.ts';
import { pageHeaders, problemPage, scriptHeaders } from './openid-pages.ts';
import { OpenIdStorage } from './openid-storage.ts';
import type { IdentitySettings } from './settings.ts';
import { algorithm, rsaAlgorithm, type SigningKeys } from './signing-keys.ts';

/** In seconds. Whoever may go on for longer asks for `offline_access`. */
const ttl = {
  ...{ AuthorizationCode: 60, AccessToken: 600, IdToken: 600, Interaction: 900, Session: 900 },
  ...{ RefreshToken: 30 * 86_400, Grant: 30 * 86_400 },
};

/** Where it all lies beneath, but what the standard puts elsewhere. */
export const mountPath = AnswerPage.pages!.path;
/** Cookies of other names would not come through the gateway. */
const cookie = (name: string) => `${AnswerPage.pages!.cookies}${name}`;

/** Endpoints that the discovery document names. */
export const endpoints = {
  authorization: `${mountPath}/auth`,
  token: `${mountPath}/token`,
  userinfo: `${mountPath}/me`,
  revocation: `${mountPath}/token/revocation`,
  jwks: '/.well-known/jwks.json',
};
/** How a partner proves at the token endpoint that it is it; `none` for who can keep no secret. */
export const clientAuthMethods = ['client_secret_basic', 'none'] as const;
export const scopes = ['openid', 'offline_access', 'profile', 'email'];

/**
 * OpenID Connect for other applications. Their tokens are valid for themselves and for `userinfo`, and not for
 * the store's API: their access tokens are opaque, and only this provider knows them.
 */
export class OpenIdProvider {
  readonly #logger = new Logger('OpenIdProvider');
  #made: { keys: string; provider: Provider } | undefined;

  constructor(
    private readonly library: typeof Library,
    private readonly dataSource: DataSource,
    private readonly storage: StorageEncryption,
    private readonly keys: SigningKeys,
    private readonly settings: IdentitySettings,
  ) {}

  /** With the keys of now: made anew when they have changed. What goes on meanwhile goes on, for it lies in the database. */
  get provider(): Provider {
    const signing = this.keys.private;
    const keys = signing.map(({ kid }) => kid).join(' ');
    if (this.#made?.keys !== keys) this.#made = { keys, provider: this.#make(signing) };
    return this.#made.provider;
  }

  #make(signing: SigningKeys['private']): Provider {
    const issuer = this.settings.tokenIssuer;
    const configuration: Configuration = {
      adapter: (model) =>
        new OpenIdStorage(
          this.dataSource,
          this.storage,
          model,
          this.library.errors.InvalidGrant,
          () => this.settings.refreshGrace,
        ),
      clients: this.settings.oidcClients.map(clientMetadata),
      jwks: { keys: signing as never },
      enabledJWA: { idTokenSigningAlgValues: [algorithm, rsaAlgorithm] } as never,
      routes: endpoints,
      cookies: {
        names: { session: cookie('session'), interaction: cookie('interaction'), resume: cookie('resume') },
        long: { httpOnly: true, sameSite: 'lax', path: mountPath },
        keys: signing.map(({ d }) => createHmac('sha256', d!).update('cookies').digest('base64url')),
      },
      pkce: { required: () => true },
      scopes,
      clientAuthMethods: [...clientAuthMethods],
      claims: { openid: ['sub'], profile: ['name'], email: ['email', 'email_verified'] },
      responseTypes: ['code'],
      rotateRefreshToken: true,
      ttl,
      features: {
        revocation: { enabled: true },
        ...{ devInteractions: { enabled: false }, rpInitiatedLogout: { enabled: false } },
        ...{ pushedAuthorizationRequests: { enabled: false }, dPoP: { enabled: false } },
      },
      interactions: { url: (_, { uid }) => `${issuer}${mountPath}/interaction/${uid}` },
      findAccount: async (_, memberId) => {
        const member = await this.dataSource.manager.findOneBy(Member, { memberId });
        if (!member) return undefined;
        const { name, email } = member;
        // Nobody has checked that the address is the member's.
        return { accountId: memberId, claims: () => ({ sub: memberId, name, email, email_verified: false }) };
      },
      renderError: (context, { error, error_description: description }) => {
        context.set(pageHeaders());
        context.type = 'html';
        context.body = problemPage(context.get('accept-language'), description ?? error);
      },
    };
    const provider = new this.library.Provider(issuer, configuration);
    this.#deriveSuccessors(provider);
    // Only what `openIdServer` has written into the headers itself.
    provider.proxy = true;
    provider.use(async (context, next) => {
      // The library adds the hash of the one script that it writes, of `response_mode=form_post`, to this directive.
      if (context.path.startsWith(endpoints.authorization)) context.set(scriptHeaders);
      await next();
      if (context.path === endpoints.token)
        await endRefusedCode(provider, context as unknown as KoaContextWithOIDC);
    });
    provider.on('grant.revoked', ({ oidc: { entities } }) => {
      const { accountId: memberId, clientId } = entities.RefreshToken ?? entities.AuthorizationCode ?? {};
      const details = { client: clientId };
      recordAudit(this.dataSource.manager, 'client-revoked', { memberId, details }).catch((error: Error) =>
        this.#logger.warn(error.message),
      );
    });
    return provider;
  }

  /**
   * The refresh token that follows a used one is computed from it and from the service key, so that it can be given
   * again: two tabs that refresh at once get the same one.
   */
  #deriveSuccessors({ RefreshToken }: Provider): void {
    const { Provider } = this.library;
    const model = RefreshToken.prototype as unknown as { generateTokenId: () => string };
    const generate = model.generateTokenId;
    const { storage } = this;
    model.generateTokenId = function () {
      const used = Provider.ctx?.oidc.entities.RotatedRefreshToken;
      return used
        ? storage.fingerprints(`successor of the refresh token ${used.jti}`)[0]
        : generate.call(this);
    };
  }
}

/**
 * Ends a code that came with a wrong verifier or redirect address: who sent it has stolen it, or cannot use it. Only the
 * client that it was made for can do so; the library lets such a code live.
 */
async function endRefusedCode({ AuthorizationCode }: Provider, context: KoaContextWithOIDC): Promise<void> {
  const { status, body, oidc } = context;
  const { client, params } = (oidc ?? {}) as Partial<typeof oidc>;
  const isRefused = status === 400 && (body as { error?: unknown }).error === 'invalid_grant';
  if (!isRefused || !client || params?.grant_type !== 'authorization_code') return;
  const code = await AuthorizationCode.find(String(params.code));
  // One that was used stays: if it is used again, the library ends all that came of it.
  const isUsed = Boolean((code as { consumed?: unknown } | undefined)?.consumed);
  if (code?.clientId === client.clientId && !isUsed) await code.destroy();
}
