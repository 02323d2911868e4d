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
} from '@jogakbo/messaging';
import type { ChannelModel, GetMessage } from 'amqplib';
import { eventually, privateBroker, type PrivateBroker } from '../src/index.ts';
import type { Harness, Handlers } from '../src/conformance.ts';

export const ladder = [30, 60, 90];

/** The RabbitMQ transport on a virtual host of its own: one connection serves, one asks and sends. */
export class RabbitHarness implements Harness {
  readonly retries = ladder.length;
  readonly serving = new BrokerConnection();
  readonly asking = new BrokerConnection();
  readonly publisher = new Publisher(this.asking);
  readonly client = new RabbitClient(this.asking, this.publisher, 'test');
  readonly #answering = new Publisher(this.serving);
  readonly #servers: RabbitServer[] = [];

  private constructor(readonly broker: PrivateBroker) {}

  static async open(): Promise<RabbitHarness> {
    const self = new RabbitHarness(await privateBroker());
    await self.serving.open(self.broker.url, 'serves');
    await self.asking.open(self.broker.url, 'asks');
    await self.publisher.open();
    await self.#answering.open();
    await self.client.connect();
    return self;
  }

  async serve(handlers: Handlers, prefetch = 64, rungs: readonly number[] = ladder): Promise<RabbitServer> {
    const server = new RabbitServer({
      ...{ service: 'shop', connection: this.serving, publisher: this.#answering },
      ...{ ladder: rungs, prefetch },
    });
    Object.assign((server as unknown as { logger: object }).logger, { error: () => {}, warn: () => {} });
    for (const [contract, handle] of handlers)
      server.listenTo(contract, async (data) => handle(data as never));
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

  /** Takes all dead letters of the service. */
  async dead(): Promise<GetMessage[]> {
    const model = await eventually(() => this.asking.model);
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

  async givenUp() {
    return (await this.dead()).map(({ properties: { headers = {} }, content }) => ({
      failures: Number(headers['failures']),
      cause: String(headers['cause']),
      body: content.toString(),
    }));
  }

  async cut(): Promise<void> {
    for (const { model } of [this.serving, this.asking]) {
      (
        model as ChannelModel & { connection: { stream: { destroy(error: Error): void } } }
      )?.connection.stream.destroy(new Error('cut'));
    }
    await eventually(() => !this.connected());
  }

  connected(): boolean {
    return this.client.ready;
  }

  async close(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.close()));
    await this.client.close();
    await Promise.all([this.serving.close(), this.asking.close()]);
    await this.broker.drop();
  }
}
