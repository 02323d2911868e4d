import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AnswerPage, GetJwks, GetOpenIdConfiguration } from '@jogakbo/contracts-identity';
import type { ServiceUnderTest } from '@jogakbo/testing';

/** A minimal gateway for identity: forwards pages unchanged, and serves the two documents. */
export class FakeGateway {
  readonly #server = createServer();
  /** The client address that is sent with each request. */
  address = '203.0.113.7';

  /** @returns the origin */
  async open(identity: () => ServiceUnderTest): Promise<string> {
    this.#server.on('request', (request, response) => {
      this.#answer(identity(), request, response).catch(() => response.writeHead(500).end());
    });
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async #answer(identity: ServiceUnderTest, request: IncomingMessage, response: ServerResponse) {
    const { method, url = '' } = request;
    const document = { '/jwks.json': GetJwks, '/openid-configuration': GetOpenIdConfiguration } as const;
    const contract = document[url.replace('/.well-known', '') as keyof typeof document];
    if (contract) {
      const json = JSON.stringify(await identity.ask(contract, {}));
      return void response.writeHead(200, { 'content-type': 'application/json' }).end(json);
    }
    const { connection: _, host: __, ...headers } = request.headers as Record<string, string>;
    let body = '';
    for await (const chunk of request) body += chunk;
    const answer = await identity.ask(
      AnswerPage,
      { method: method as 'GET', url, headers, ...(body && { body }) },
      { address: this.address },
    );
    response.writeHead(answer.status, answer.headers).end(answer.body);
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}
