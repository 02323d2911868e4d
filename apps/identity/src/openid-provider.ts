import { createHmac } from 'node:crypto';
import type { StorageEncryption } from '@jogakbo/consistency';
import { AnswerPage } from '@jogakbo/contracts-identity';
import { Logger } from '@nestjs/common';
import type * as Library from 'oidc-provider';
import type { Configuration, KoaContextWithOIDC, Provider } from 'oidc-provider';
import type { DataSource } from 'typeorm';
import { recordAudit } from './audit.ts';
import { Member } from './member.ts';
import { toClientMetadata } from './openid-clients.ts';
import { getPageHeaders, renderProblemPage, scriptHeaders } from './openid-pages.ts';
import { chooseLanguage } from './openid-texts.ts';
import { OpenIdStorage } from './openid-storage.ts';
import type { IdentitySettings } from './settings.ts';
import { algorithm, rsaAlgorithm, type SigningKeys } from './signing-keys.ts';

/** Seconds. Clients request `offline_access` for longer use. */
const ttl = {
  AuthorizationCode: 60,
  AccessToken: 600,
  IdToken: 600,
  Interaction: 900,
  Session: 900,
  RefreshToken: 30 * 86_400,
  Grant: 30 * 86_400,
};

/** The path prefix of all endpoints except those that the standard places elsewhere. */
export const mountPath = AnswerPage.pages!.path;
/** The gateway drops cookies without this prefix. */
const toCookieName = (name: string) => `${AnswerPage.pages!.cookies}${name}`;

/** Endpoints of the discovery document. */
export const endpoints = {
  authorization: `${mountPath}/auth`,
  token: `${mountPath}/token`,
  userinfo: `${mountPath}/me`,
  revocation: `${mountPath}/token/revocation`,
  jwks: '/.well-known/jwks.json',
};
/** Client authentication at the token endpoint; `none` for public clients. */
export const clientAuthMethods = ['client_secret_basic', 'none'] as const;
export const scopes = ['openid', 'offline_access', 'profile', 'email'];

/** The part of the library's configuration that depends on no setting. */
const protocol: Configuration = {
  enabledJWA: { idTokenSigningAlgValues: [algorithm, rsaAlgorithm] } as never,
  routes: endpoints,
  pkce: { required: () => true },
  scopes,
  clientAuthMethods: [...clientAuthMethods],
  claims: { openid: ['sub'], profile: ['name'], email: ['email', 'email_verified'] },
  responseTypes: ['code'],
  rotateRefreshToken: true,
  ttl,
  features: {
    revocation: { enabled: true },
    devInteractions: { enabled: false },
    rpInitiatedLogout: { enabled: false },
    pushedAuthorizationRequests: { enabled: false },
    dPoP: { enabled: false },
  },
};

/**
 * OpenID Connect for third-party applications. Their tokens are not valid for the store's API: access tokens are opaque
 * and valid for `userinfo` only, and ID tokens have the application as audience.
 */
export class OpenIdProvider {
  readonly #logger = new Logger('OpenIdProvider');
  #current: { keys: string; provider: Provider } | undefined;

  constructor(
    private readonly library: typeof Library,
    private readonly dataSource: DataSource,
    private readonly storage: StorageEncryption,
    private readonly keys: SigningKeys,
    private readonly settings: IdentitySettings,
  ) {}

  /** The provider with the current keys, recreated when they change. Interactions continue: their state is in the database. */
  get provider(): Provider {
    const signing = this.keys.private;
    const keys = signing.map(({ kid }) => kid).join(' ');
    if (this.#current?.keys !== keys) this.#current = { keys, provider: this.#createProvider(signing) };
    return this.#current.provider;
  }

  #createProvider(signing: SigningKeys['private']): Provider {
    const provider = new this.library.Provider(this.settings.tokenIssuer, this.#createConfiguration(signing));
    this.#deriveSuccessors(provider);
    // The forwarding headers come from `createOpenIdServer`, not from clients.
    provider.proxy = true;
    provider.use(async (context, next) => {
      // For `response_mode=form_post`, the library adds the hash of its script to this directive.
      if (context.path.startsWith(endpoints.authorization)) context.set(scriptHeaders);
      await next();
      if (context.path === endpoints.token)
        await revokeRejectedCode(provider, context as unknown as KoaContextWithOIDC);
    });
    provider.on('server_error', (_, error) => this.#logger.error(error));
    provider.on('grant.revoked', ({ oidc: { entities } }) => {
      const { accountId: memberId, clientId } = entities.RefreshToken ?? entities.AuthorizationCode ?? {};
      const details = { client: clientId };
      recordAudit(this.dataSource.manager, 'client-revoked', { memberId, details }).catch((error: Error) =>
        this.#logger.warn(error.message),
      );
    });
    return provider;
  }

  #createConfiguration(signing: SigningKeys['private']): Configuration {
    const { dataSource, storage, library, settings } = this;
    return {
      ...protocol,
      adapter: (model) =>
        new OpenIdStorage(
          dataSource,
          storage,
          model,
          library.errors.InvalidGrant,
          () => settings.refreshGrace,
        ),
      clients: settings.oidcClients.map(toClientMetadata),
      jwks: { keys: signing as never },
      cookies: {
        names: {
          session: toCookieName('session'),
          interaction: toCookieName('interaction'),
          resume: toCookieName('resume'),
        },
        long: { httpOnly: true, sameSite: 'lax', path: mountPath },
        keys: signing.map(({ d }) => createHmac('sha256', d!).update('cookies').digest('base64url')),
      },
      interactions: { url: (_, { uid }) => `${settings.tokenIssuer}${mountPath}/interaction/${uid}` },
      findAccount: async (_, memberId) => {
        const member = await dataSource.manager.findOneBy(Member, { memberId });
        if (!member) return undefined;
        const { name, email } = member;
        // Addresses are not confirmed.
        return { accountId: memberId, claims: () => ({ sub: memberId, name, email, email_verified: false }) };
      },
      renderError: (context, { error, error_description: description }) => {
        context.set(getPageHeaders());
        context.type = 'html';
        const language = chooseLanguage(context.get('accept-language'), settings.languages);
        context.body = renderProblemPage(language, description ?? error);
      },
    };
  }

  /**
   * Derives the successor of a refresh token from the token and the service key. Two tabs that refresh at the same time
   * receive the same successor.
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
 * Revokes a code sent with a wrong verifier or redirect URI: the code is stolen or unusable. Only the client that the code
 * was issued to can trigger this. The library itself keeps such a code valid.
 */
async function revokeRejectedCode(
  { AuthorizationCode }: Provider,
  context: KoaContextWithOIDC,
): Promise<void> {
  const { status, body, oidc } = context;
  const { client, params } = (oidc ?? {}) as Partial<typeof oidc>;
  const isRejected = status === 400 && (body as { error?: unknown }).error === 'invalid_grant';
  if (!isRejected || !client || params?.grant_type !== 'authorization_code') return;
  const code = await AuthorizationCode.find(String(params.code));
  // A used code stays stored: on reuse, the library revokes its grant.
  const isUsed = Boolean((code as { consumed?: unknown } | undefined)?.consumed);
  if (code?.clientId === client.clientId && !isUsed) await code.destroy();
}
