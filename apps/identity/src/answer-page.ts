import type { PageAnswer, PageRequest } from '@jogakbo/contract';
import { AnswerPage } from '@jogakbo/contracts-identity';
import { StorageEncryption, type UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller, type OnApplicationShutdown } from '@nestjs/common';
import type { FastifyInstance } from 'fastify';
import { DataSource } from 'typeorm';
import { Credentials } from './credentials.ts';
import { OpenIdProvider } from './openid-provider.ts';
import { createOpenIdServer } from './openid-server.ts';
import { IdentitySettings } from './settings.ts';
import { SigningKeys } from './signing-keys.ts';

/**
 * Serves OpenID Connect requests that the gateway forwards over the bus. No port is open for them, so only senders on the
 * bus can set the client address.
 */
@Controller()
export class AnswerPageHandler implements OnApplicationShutdown {
  #server: Promise<FastifyInstance> | undefined;

  constructor(
    private readonly credentials: Credentials,
    private readonly dataSource: DataSource,
    private readonly storage: StorageEncryption,
    private readonly keys: SigningKeys,
    private readonly settings: IdentitySettings,
  ) {}

  @Handles(AnswerPage)
  async answer({ method, url, headers, body }: PageRequest, { address }: UnitOfWork): Promise<PageAnswer> {
    this.#server ??= this.#createServer().catch((error: unknown) => {
      this.#server = undefined;
      throw error;
    });
    const server = await this.#server;
    const answer = await server.inject({
      method,
      url,
      headers,
      ...(body !== undefined && { payload: body }),
      ...(address && { remoteAddress: address }),
    });
    const responseHeaders = Object.entries(answer.headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, Array.isArray(value) ? value : String(value)] as const],
    );
    return { status: answer.statusCode, headers: Object.fromEntries(responseHeaders), body: answer.payload };
  }

  /** Loads the library on the first request: it takes half a second and 40 MB. */
  async #createServer(): Promise<FastifyInstance> {
    const { credentials, dataSource, storage, keys, settings } = this;
    const library = await import('oidc-provider');
    const provider = new OpenIdProvider(library, dataSource, storage, keys, settings);
    return createOpenIdServer(library, provider, settings, credentials, dataSource);
  }

  async onApplicationShutdown(): Promise<void> {
    await (await this.#server)?.close();
  }
}
