import { consistencyMigrations, OutboxRelay, StorageEncryption, UnitsOfWork } from '@jogakbo/consistency';
import {
  Ask,
  BrokerConnection,
  KnownRecipients,
  Publisher,
  RabbitClient,
  RabbitServer,
  RemoteFault,
  ServiceKey,
} from '@jogakbo/messaging';
import { CallGuard } from '@jogakbo/resilience';
import { Injectable, Module, type OnApplicationShutdown } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { loans } from '../contracts.js';
import { Loan, Loans1700000010000 } from './loan.js';

const service = loans.name;
const { RABBITMQ_URL = '', DATABASE_URL = '', SERVICE_KEY = '' } = process.env;

const isUnavailable = (error: unknown) => error instanceof RemoteFault && error.code === 'unavailable';

/** Calls to other services, with a circuit breaker and retries. */
async function createClient(connection: BrokerConnection, publisher: Publisher) {
  const guard = new CallGuard({ isDown: isUnavailable, canRetry: isUnavailable });
  const client = new RabbitClient(connection, publisher, service, guard.run);
  await client.connect();
  return client;
}

const createDataSource = () =>
  new DataSource({
    type: 'postgres',
    url: DATABASE_URL,
    entities: [Loan],
    migrations: [...consistencyMigrations, Loans1700000010000],
    migrationsTransactionMode: 'each',
    migrationsRun: true,
  }).initialize();

async function startRelay(publisher: Publisher, encryption: StorageEncryption) {
  const recipients = new KnownRecipients(() => []);
  const relay = new OutboxRelay({ service, databaseUrl: DATABASE_URL, publisher, encryption, recipients });
  await relay.start();
  return relay;
}

/** Consumes the queues of the service: every command and event in a unit of work, with inbox and outbox. */
function createServer(
  connection: BrokerConnection,
  publisher: Publisher,
  dataSource: DataSource,
  encryption: StorageEncryption,
  relay: OutboxRelay,
) {
  const units: UnitsOfWork = new UnitsOfWork({
    ...{ service, dataSource, encryption, wake: relay.wake },
    dispatch: (...message) => server.dispatch(...message),
  });
  const server: RabbitServer = new RabbitServer({
    ...{ service, connection, publisher },
    middleware: units.middleware,
  });
  return server;
}

@Injectable()
class Connections implements OnApplicationShutdown {
  constructor(
    private readonly connection: BrokerConnection,
    private readonly publisher: Publisher,
    private readonly client: RabbitClient,
    private readonly relay: OutboxRelay,
    private readonly dataSource: DataSource,
  ) {}

  /** Runs after the server has completed its messages. */
  async onApplicationShutdown(): Promise<void> {
    await this.relay.stop();
    await this.client.close();
    await this.publisher.close();
    await this.connection.close();
    await this.dataSource.destroy();
  }
}

@Module({
  providers: [
    { provide: BrokerConnection, useFactory: () => new BrokerConnection().open(RABBITMQ_URL, service) },
    {
      provide: Publisher,
      inject: [BrokerConnection],
      useFactory: async (connection: BrokerConnection) => {
        const publisher = new Publisher(connection);
        await publisher.open();
        return publisher;
      },
    },
    { provide: RabbitClient, inject: [BrokerConnection, Publisher], useFactory: createClient },
    { provide: Ask, inject: [RabbitClient], useFactory: (client: RabbitClient) => client.ask },
    { provide: DataSource, useFactory: createDataSource },
    { provide: StorageEncryption, useFactory: () => new StorageEncryption(ServiceKey.parse(SERVICE_KEY)) },
    // Publishes what earlier processes have committed, so it needs the tables.
    {
      provide: OutboxRelay,
      inject: [Publisher, StorageEncryption, DataSource],
      useFactory: startRelay,
    },
    {
      provide: RabbitServer,
      inject: [BrokerConnection, Publisher, DataSource, StorageEncryption, OutboxRelay],
      useFactory: createServer,
    },
    Connections,
  ],
  exports: [Ask, DataSource, RabbitServer],
})
export class MessagingModule {}
