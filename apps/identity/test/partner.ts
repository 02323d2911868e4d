import { SignUp } from '@jogakbo/contracts-identity';
import { getAction, Browser, ServiceUnderTest } from '@jogakbo/testing';
import * as openid from 'openid-client';
import { IdentityModule } from '../src/identity.module.ts';
import { FakeGateway } from './stand-in-gateway.ts';

export const password = '조각보-correct-horse';
export const secret = 'a-secret-of-the-partner-that-is-long-enough';
export const redirectUri = 'https://partner.example/callback';
export const appUri = 'http://127.0.0.1:9/app';

/** An identity service with three clients, and an OpenID Connect client library. */
export class Partner {
  identity!: ServiceUnderTest;
  origin!: string;
  readonly gateway = new FakeGateway();
  client!: openid.Configuration;
  #count = 0;

  async open(): Promise<void> {
    this.origin = await this.gateway.open(() => this.identity);
    this.identity = await ServiceUnderTest.start(IdentityModule, {
      TOKEN_ISSUER: this.origin,
      LANGUAGES: 'ko,en',
      ROLES: 'moderator',
      OIDC_CLIENTS: JSON.stringify([
        { clientId: 'partner', name: '<Partner> & Co', secret, redirectUris: [redirectUri] },
        { clientId: 'app', name: 'App', redirectUris: [appUri] },
        { clientId: 'rsa', name: 'RSA', redirectUris: [appUri], idTokenAlgorithm: 'RS256' },
      ]),
    });
    this.client = await this.discover('partner', openid.ClientSecretBasic(secret));
  }

  async close(): Promise<void> {
    this.gateway.close();
    await this.identity?.stop();
  }

  discover(clientId: string, authentication?: openid.ClientAuth): Promise<openid.Configuration> {
    return openid.discovery(new URL(this.origin), clientId, undefined, authentication, {
      execute: [openid.allowInsecureRequests],
    });
  }

  async createMember(): Promise<{ email: string; memberId: string }> {
    const email = `visitor-${++this.#count}@example.com`;
    await this.identity.ask(SignUp, { email, password, name: '김하나' });
    const [row] = await this.identity.query<{ member_id: string }>(
      'SELECT member_id FROM member WHERE email = $1',
      [email],
    );
    return { email, memberId: row!.member_id };
  }

  async begin(client = this.client, redirect = redirectUri) {
    const verifier = openid.randomPKCECodeVerifier();
    const state = openid.randomState();
    const address = openid.buildAuthorizationUrl(client, {
      redirect_uri: redirect,
      scope: 'openid profile email offline_access',
      prompt: 'consent',
      state,
      code_challenge: await openid.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    });
    return { address: address.href, checks: { pkceCodeVerifier: verifier, expectedState: state } };
  }

  /** Signs in and consents. @returns the URL that the browser was redirected to */
  async authorize(address: string, email: string, browser = new Browser(this.origin)): Promise<URL> {
    const page = await browser.open(address);
    const consentPage = await browser.open(getAction(page.text), { email, password });
    const allowed = await browser.open(getAction(consentPage.text), {});
    return allowed.url;
  }

  async obtainTokens(email: string, client = this.client, redirect = redirectUri) {
    const { address, checks } = await this.begin(client, redirect);
    return openid.authorizationCodeGrant(client, await this.authorize(address, email), checks);
  }
}
