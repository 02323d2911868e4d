import { randomUUIDv7 } from 'node:crypto';
import { CallPolicy, type AnyContract, type AnyRequest, type Body } from '@jogakbo/contract';
import {
  Announcer,
  type BrokerConnection,
  DecryptionKeys,
  type Publisher,
  RabbitServer,
  ServiceKey,
  withCall,
} from '@jogakbo/messaging';

/** The requests that a stub answers, each with the function that computes its answer. */
export type StubAnswers = Iterable<[AnyRequest, (data: never) => unknown]>;

/** A stub of another service, with the requests that it has received. */
export interface StubbedService {
  received<C extends AnyRequest>(contract: C): Body<C>[];
}

export interface RunningStub extends StubbedService {
  close(): Promise<void>;
}

/** Answers the requests of one service over the real broker, and records them. */
export async function startStub({
  connection,
  publisher,
  service,
  answers,
}: {
  connection: BrokerConnection;
  publisher: Publisher;
  service: string;
  answers: StubAnswers;
}): Promise<RunningStub> {
  const received: { contract: AnyContract; data: unknown }[] = [];
  const decryption = new DecryptionKeys(ServiceKey.random());
  const server = new RabbitServer({
    ...{ service, decryption, connection, publisher },
    retryDelays: [50, 100, 200],
  });
  for (const [contract, answer] of answers) {
    server.addContractHandler(contract, async (data, context) => {
      received.push({ contract, data });
      return withCall(context.incoming.callContext, () => answer(data as never));
    });
  }
  await new Promise<void>((resolve, reject) => {
    void server.listen((error) => (error ? reject(error as Error) : resolve()));
  });
  const announcer = createAnnouncer(connection, publisher, service, decryption);
  await announcer.open();
  return {
    received: <C extends AnyRequest>(contract: C) =>
      received.filter((one) => one.contract === contract).map(({ data }) => data as Body<C>),
    close: async () => {
      await Promise.all([server.close(), announcer.close()]);
    },
  };
}

/** Announces the key of the stub: callers need it to encrypt sensitive requests. */
function createAnnouncer(
  connection: BrokerConnection,
  publisher: Publisher,
  service: string,
  { publicKeys }: DecryptionKeys,
): Announcer {
  return new Announcer(connection, publisher, () => ({
    service,
    version: '0.0.0',
    instance: `${service}-${randomUUIDv7().slice(-12)}`,
    state: 'up',
    url: 'http://127.0.0.1:9',
    startedAt: new Date().toISOString(),
    interval: 60,
    madeQueues: [],
    encryptionKeys: [...publicKeys],
    contract: { service, description: '', policy: CallPolicy.parse({}), requests: [], events: [] },
  }));
}
