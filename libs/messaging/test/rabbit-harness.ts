import { randomUUID } from 'node:crypto';
import { type AnyContract } from '@jogakbo/contract';
import {
  BrokerConnection,
  contextHeaders,
  encodeEvent,
  encodeRequest,
  exchanges,
  Publisher,
  queues,
  RabbitClient,
  RabbitServer,
  getSubject,
  type CallContext,
  type Spans,
} from '@jogakbo/messaging';
import type { ChannelModel, GetMessage } from 'amqplib';
import { eventually, createPrivateBroker, type PrivateBroker } from '@jogakbo/testing';
import type { Harness, Handlers } from '@jogakbo/testing/conformance';

export const retryDelays = [30, 60, 90];

/** The RabbitMQ transport on a private virtual host: one connection serves, one sends requests. */
export class RabbitHarness implements Harness {
  readonly retries = retryDelays.length;
  readonly serverConnection = new BrokerConnection();
  readonly callerConnection = new BrokerConnection();
  readonly publisher = new Publisher(this.callerConnection);
  readonly client = new RabbitClient(this.callerConnection, this.publisher, 'test');
  readonly #replyPublisher = new Publisher(this.serverConnection);
  readonly #servers: RabbitServer[] = [];

  private constructor(readonly broker: PrivateBroker) {}

  static async open(): Promise<RabbitHarness> {
    const self = new RabbitHarness(await createPrivateBroker());
    await self.serverConnection.open(self.broker.url, 'serves');
    await self.callerConnection.open(self.broker.url, 'asks');
    await self.publisher.open();
    await self.#replyPublisher.open();
    await self.client.connect();
    return self;
  }

  async serve(
    handlers: Handlers,
    prefetch = 64,
    delays: readonly number[] = retryDelays,
    spans?: Spans,
  ): Promise<RabbitServer> {
    const server = new RabbitServer({
      ...{ service: 'shop', connection: this.serverConnection, publisher: this.#replyPublisher },
      ...{ retryDelays: delays, prefetch, spans },
    });
    Object.assign((server as unknown as { logger: object }).logger, { error: () => {}, warn: () => {} });
    for (const [contract, handle] of handlers)
      server.addContractHandler(contract, async (data) => handle(data as never));
    await new Promise<void>((resolve, reject) => {
      void server.listen((error) => (error ? reject(error as Error) : resolve()));
    });
    this.#servers.push(server);
    return server;
  }

  readonly ask = this.client.ask;

  async send(
    contract: AnyContract,
    data: unknown,
    messageId: string = randomUUID(),
    context?: CallContext,
  ): Promise<void> {
    const headers = contextHeaders(context);
    const encoded = encodeRequest(
      { pattern: contract.name, data },
      { messageId, persistent: true, mandatory: true, headers },
    );
    await this.publisher.publish({
      exchange: exchanges.requests(contract.name),
      routingKey: contract.name,
      ...encoded,
    });
  }

  async announce(contract: AnyContract, data: unknown, id: string = randomUUID()): Promise<void> {
    const event = { id, name: contract.name, source: contract.service, time: new Date(), data };
    const encoded = encodeEvent({ ...event, subject: getSubject(contract, data) }, contextHeaders(undefined));
    await this.publisher.publish({
      exchange: exchanges.events(contract.name),
      routingKey: contract.name,
      ...encoded,
    });
  }

  async poison(contract: AnyContract, body: string | Buffer): Promise<void> {
    await this.publisher.publish({
      exchange: (contract.kind === 'event' ? exchanges.events : exchanges.requests)(contract.name),
      routingKey: contract.name,
      content: typeof body === 'string' ? Buffer.from(body) : body,
      options: { messageId: randomUUID(), persistent: true },
    });
  }

  /** Takes all dead letters of the service with their properties. */
  async takeRawDeadLetters(): Promise<GetMessage[]> {
    const model = await eventually(() => this.callerConnection.model);
    const channel = await model.createChannel();
    const letters: GetMessage[] = [];
    for (;;) {
      const letter = await channel.get(queues.dead('shop'), { noAck: true });
      if (!letter) break;
      letters.push(letter);
    }
    await channel.close();
    return letters;
  }

  async takeDeadLetters() {
    return (await this.takeRawDeadLetters()).map(({ properties: { headers = {} }, content }) => ({
      failures: Number(headers['failures']),
      cause: String(headers['cause']),
      body: content.toString(),
    }));
  }

  async cutConnections(): Promise<void> {
    for (const { model } of [this.serverConnection, this.callerConnection]) {
      (
        model as ChannelModel & { connection: { stream: { destroy(error: Error): void } } }
      )?.connection.stream.destroy(new Error('cut'));
    }
    await eventually(() => !this.isConnected());
  }

  isConnected(): boolean {
    return this.client.ready;
  }

  async close(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.close()));
    await this.client.close();
    await Promise.all([this.serverConnection.close(), this.callerConnection.close()]);
    await this.broker.drop();
  }
}
