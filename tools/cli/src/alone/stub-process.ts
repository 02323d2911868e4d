// Answers the requests of all stubbed services, in one process. Usage: node --experimental-transform-types stub-process.ts
// <file>, the StubProcessInput as JSON. Reloads `apps/<service>/stubs.ts` after each change; a wrong one is reported and not
// used.
import { readFileSync, watch } from 'node:fs';
import { basename } from 'node:path';
import { type AnyEvent, describe, type Message, Rejection } from '@jogakbo/contract';
import { BrokerConnection, KnownGrants, Publisher, ServiceKey } from '@jogakbo/messaging';
import { publishEvent } from '@jogakbo/testing/publish-event';
import { startStub } from '@jogakbo/testing/stubbed-service';
import { readBus } from '../bus-descriptions.ts';
import { readRetryDelays } from '../backing/rabbitmq/retry-delays.ts';
import { selectApps } from '../supervisor/start-options.ts';
import { toMessage } from '../terminal/cli-error.ts';
import { getStubsFile, loadStubSet, type StubbedRequest, type StubbedService } from './stub-set.ts';

export interface StubProcessInput {
  app: string;
  failures: Record<string, string>;
  /** Public keys of development tokens. */
  keys: object[];
  /** The login of the broker operator; absent if all services share one login. */
  operator?: string;
  /** The login and the service key of each stubbed service. */
  logins: Record<string, { url: string; key: string }>;
}

/** Milliseconds that combine the steps of one save. */
const debounceMs = 50;

const log = (msg: string, level = 30) =>
  console.log(JSON.stringify({ level, time: Date.now(), service: 'stubs', msg }));

class StubProcess {
  readonly #input: StubProcessInput;
  #requests = new Map<string, StubbedRequest>();
  #loads = 0;
  readonly #closing: (() => Promise<unknown>)[] = [];

  constructor(input: StubProcessInput) {
    this.#input = input;
  }

  async start(): Promise<void> {
    const services = await this.#load();
    if (!services) throw new Error('the stubs are wrong');
    await Promise.all(services.map((one) => this.#open(one)));
    this.#watch();
  }

  /** @returns undefined if a stub is wrong: then the earlier ones stay */
  async #load(): Promise<StubbedService[] | undefined> {
    const [app] = selectApps([this.#input.app]);
    const { services, problems } = await loadStubSet(
      { ...this.#input, app: app!, bus: readBus(app!)! },
      `?${this.#loads++}`,
    );
    for (const problem of problems) log(problem, 50);
    if (problems.length > 0) return undefined;
    const requests = services.flatMap((one) => one.requests);
    this.#requests = new Map(requests.map((one) => [one.contract.name, one]));
    return services;
  }

  async #open({ contract, requests }: StubbedService): Promise<void> {
    const login = this.#input.logins[contract.name];
    if (requests.length === 0 || !login) return;
    const connection = await new BrokerConnection({ operator: this.#input.operator }).open(
      login.url,
      `stub of ${contract.name}`,
    );
    const grants = await new KnownGrants(connection).open();
    const publisher = new Publisher(connection);
    await publisher.open();
    const description = describe(contract);
    const answered = new Set(requests.map((one) => one.contract.name));
    const stub = await startStub({
      ...{ connection, publisher, service: contract.name },
      key: ServiceKey.parse(login.key),
      grants: () => grants.current,
      retryDelays: readRetryDelays(),
      isRecording: false,
      contract: { ...description, requests: description.requests.filter(({ name }) => answered.has(name)) },
      answers: requests.map((one) => [
        one.contract,
        (input: unknown) => this.#answer(publisher, one.contract.name, input),
      ]),
    });
    this.#closing.push(async () => {
      await Promise.all([stub.close(), grants.close()]);
      await publisher.close();
      await connection.close();
    });
  }

  async #answer(publisher: Publisher, name: string, input: unknown): Promise<unknown> {
    const { stub, origin } = this.#requests.get(name)!;
    const published: Message<AnyEvent>[] = [];
    try {
      const output = await stub.answer(input, { publish: (message) => void published.push(message) });
      log(`${name}: answered (${origin})`, this.#isQuiet(origin) ? 20 : 30);
      for (const message of published) await this.#publish(publisher, message);
      return output;
    } catch (error) {
      log(
        `${name}: ${error instanceof Rejection ? `rejected with ${error.code}` : toMessage(error)} (${origin})`,
      );
      throw error;
    }
  }

  /** The gateway asks for keys every few minutes. */
  #isQuiet = (origin: StubbedRequest['origin']): boolean => origin === 'development key';

  async #publish(publisher: Publisher, message: Message<AnyEvent>): Promise<void> {
    await publishEvent(publisher, message);
    log(`published ${message.contract.name}`);
  }

  #watch(): void {
    const [app] = selectApps([this.#input.app]);
    let timer: NodeJS.Timeout | undefined;
    watch(app!.folder, (_event, name) => {
      if (name !== basename(getStubsFile(app!))) return;
      clearTimeout(timer);
      timer = setTimeout(() => void this.#reload(), debounceMs);
    });
  }

  async #reload(): Promise<void> {
    if (await this.#load()) log('loaded stubs.ts again');
    else log('stubs.ts is not used until it is corrected', 50);
  }

  async close(): Promise<void> {
    await Promise.all(this.#closing.map((close) => close()));
  }
}

const running = new StubProcess(JSON.parse(readFileSync(process.argv[2]!, 'utf8')) as StubProcessInput);
await running.start();
const end = () => {
  setTimeout(() => process.exit(1), 5_000).unref();
  void running.close().then(() => process.exit(0));
};
process.once('SIGTERM', end).once('SIGINT', end).once('disconnect', end);
process.send?.({ type: 'ready' });
