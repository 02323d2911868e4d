import type { AnyContract } from '@jogakbo/contract';
import { BrokerConnection, Publisher, RabbitServer } from '@jogakbo/messaging';

type ServerOptions = ConstructorParameters<typeof RabbitServer>[0];
type Handler = Parameters<RabbitServer['addContractHandler']>[1];

export interface ServerUnderTest {
  server: RabbitServer;
  /** Lines that the server logged. */
  log: { level: string; text: string }[];
}

/** Starts a server whose log can be inspected. @param prepare runs before it consumes */
export async function serve(
  options: ServerOptions,
  handlers: [AnyContract, Handler][],
  prepare: (server: RabbitServer) => void = () => {},
): Promise<ServerUnderTest> {
  const server = new RabbitServer({ retryDelays: [30], ...options });
  const log: ServerUnderTest['log'] = [];
  const write = (level: string) => (message: unknown, more?: unknown) => {
    log.push({ level, text: [message, more].map((part) => (typeof part === 'string' ? part : '')).join('') });
  };
  Object.assign((server as unknown as { logger: object }).logger, {
    ...{ debug: write('debug'), warn: write('warn'), error: write('error') },
  });
  for (const [contract, handler] of handlers) server.addContractHandler(contract, handler);
  prepare(server);
  await new Promise<void>((resolve, reject) => {
    void server.listen((error) => (error ? reject(error as Error) : resolve()));
  });
  return { server, log };
}

/** Opens a connection with a publisher. @param operator set if every service has a login of its own */
export async function openConnection(
  url: string,
  operator?: string,
): Promise<{ connection: BrokerConnection; publisher: Publisher }> {
  const connection = await new BrokerConnection({ operator }).open(url, 'test');
  const publisher = new Publisher(connection);
  await publisher.open();
  return { connection, publisher };
}
