import { randomUUIDv7 } from 'node:crypto';
import {
  CallPolicy,
  type AnyContract,
  type AnyRequest,
  type Body,
  type ServiceDescription,
} from '@jogakbo/contract';
import {
  Announcer,
  type BrokerConnection,
  DecryptionKeys,
  type Grants,
  type Publisher,
  RabbitServer,
  ServiceKey,
  withCall,
} from '@jogakbo/messaging';

/** How a request arrived at a stub. */
export interface ReceivedRequest {
  /** Whether its sender waits for the answer: it does not if a saga sent it. */
  isAwaited: boolean;
}

/** The requests that a stub answers, each with the function that computes its answer. */
export type StubAnswers = Iterable<[AnyRequest, (data: never, request: ReceivedRequest) => unknown]>;

/** A stub of another service, with the requests that it has received. */
export interface StubbedService {
  received<C extends AnyRequest>(contract: C): Body<C>[];
}

export interface RunningStub extends StubbedService {
  close(): Promise<void>;
}

export interface StubOptions {
  connection: BrokerConnection;
  publisher: Publisher;
  service: string;
  answers: StubAnswers;
  /** By default a random one. If every service has a login of its own, senders know only the registered key. */
  key?: ServiceKey;
  /** Required if every service has a login of its own. */
  grants?: () => Grants;
  /** Milliseconds until a failed message is tried again. */
  retryDelays?: readonly number[];
  /** False for a stub that runs for long: `received` stays empty. */
  isRecording?: boolean;
  /** What it announces; by default no request, so that the gateway has no routes to it. */
  contract?: ServiceDescription;
}

/** Answers the requests of one service over the real broker, and records them. */
export async function startStub(options: StubOptions): Promise<RunningStub> {
  const { connection, publisher, service, answers, grants } = options;
  const { key = ServiceKey.random(), isRecording = true } = options;
  const received: { contract: AnyContract; data: unknown }[] = [];
  const decryption = new DecryptionKeys(key);
  const server = new RabbitServer({
    ...{ service, key, decryption, connection, publisher },
    ...(grants && { grants }),
    retryDelays: options.retryDelays ?? [50, 100, 200],
  });
  for (const [contract, answer] of answers) {
    server.addContractHandler(contract, async (data, context) => {
      if (isRecording) received.push({ contract, data });
      const { callContext, replyTo } = context.incoming;
      return withCall(callContext, () => answer(data as never, { isAwaited: replyTo !== undefined }));
    });
  }
  await new Promise<void>((resolve, reject) => {
    void server.listen((error) => (error ? reject(error as Error) : resolve()));
  });
  const announcer = createAnnouncer(options, decryption);
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
  { connection, publisher, service, contract }: StubOptions,
  { publicKeys }: DecryptionKeys,
): Announcer {
  const instance = `${service}-${randomUUIDv7().slice(-12)}`;
  const startedAt = new Date().toISOString();
  return new Announcer(connection, publisher, () => ({
    ...{ service, instance, startedAt },
    version: '0.0.0',
    state: 'up',
    url: 'http://127.0.0.1:9',
    interval: 60,
    madeQueues: [],
    encryptionKeys: [...publicKeys],
    contract: contract ?? {
      service,
      description: '',
      policy: CallPolicy.parse({}),
      requests: [],
      events: [],
    },
  }));
}
