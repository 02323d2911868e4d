import {
  RecreatedQueues,
  OutboxRelay,
  Projector,
  QueueRecovery,
  SagaRunner,
  UnitsOfWork,
  type StorageEncryption,
} from '@jogakbo/consistency';
import type { RabbitServer } from '@jogakbo/messaging';
import type { DataSource } from 'typeorm';
import { createSendCheck } from './bus.ts';
import type { Broker } from './broker.ts';
import { createDataSource } from './data-source.ts';
import type { Readiness } from './health.ts';
import type { InstanceContext } from './instance-context.ts';
import type { Part } from './parts.ts';
import { DatabaseSettings } from './settings.ts';
import { StatementSpans } from './statement-spans.ts';

/** The database of a service, and everything that needs it: units of work, outbox, sagas, read models, queue recovery. */
export class Database implements Part {
  readonly dataSource: DataSource;
  readonly units: UnitsOfWork;
  readonly relay: OutboxRelay;
  readonly sagaRunner: SagaRunner;
  /** Undefined for a service without projections. */
  readonly projector: Projector | undefined;
  readonly queueRecovery: QueueRecovery;
  readonly recreatedQueues: RecreatedQueues;
  #server: RabbitServer | undefined;

  /** @param onQueueRecreated called when there is a new queue to announce */
  constructor(
    context: InstanceContext,
    private readonly broker: Broker,
    encryption: StorageEncryption,
    onQueueRecreated: () => void,
  ) {
    const { module, declaration, service, settings, metrics, telemetry } = context;
    const { sagas = [], projections = [] } = declaration;
    const { publisher, recipients } = broker;
    const { databaseUrl } = settings.get(DatabaseSettings);
    this.dataSource = createDataSource(
      module,
      settings.get(DatabaseSettings),
      declaration.migrations,
      telemetry && new StatementSpans(telemetry.spans),
    );
    this.relay = new OutboxRelay({ service, databaseUrl, publisher, encryption, recipients });
    this.units = new UnitsOfWork({
      service,
      dataSource: this.dataSource,
      encryption,
      spans: telemetry?.spans,
      dispatch: (...args) => this.#server!.dispatch(...args),
      assertDeclared: createSendCheck(declaration),
      wake: this.relay.wake,
    });
    this.sagaRunner = new SagaRunner(sagas, this.dataSource, this.units, encryption);
    if (projections.length > 0) this.projector = new Projector(projections, this.dataSource, databaseUrl);
    this.queueRecovery = new QueueRecovery(this.dataSource, this.relay);
    this.recreatedQueues = new RecreatedQueues(this.dataSource, onQueueRecreated);
    metrics.watchDatabase(this.dataSource);
  }

  /** Subscribes sagas and projections. Their commands, and those that handlers send, are handled by this server. */
  attach(server: RabbitServer): void {
    this.#server = server;
    this.sagaRunner.attach(server);
    this.projector?.attach(server);
    const { grants } = this.broker;
    this.broker.onAnnouncement((announcement) =>
      this.queueRecovery.receiveAnnouncement({
        ...announcement,
        madeQueues: grants.filterRecreatedQueues(announcement),
      }),
    );
  }

  addConditions(readiness: Readiness): void {
    let isMigrated = false;
    readiness.add('database', async () => void (await this.dataSource.query('SELECT 1')));
    readiness.add('migrations', async () => {
      isMigrated ||= !(await this.dataSource.showMigrations());
      return isMigrated ? undefined : 'some migrations have not run';
    });
  }

  async open(): Promise<void> {
    await this.dataSource.initialize();
    // Else the service starts, and is not ready: the deploy step runs the migrations, and creates the read models.
    if (!(await this.dataSource.showMigrations())) await this.projector?.prepare();
  }

  async close(): Promise<void> {
    if (this.dataSource.isInitialized) await this.dataSource.destroy();
  }

  /** Publishes what units of work commit. */
  readonly outbox: Part = {
    open: () => this.relay.start(),
    close: async () => {
      await this.queueRecovery.stop();
      await this.relay.stop();
    },
  };

  /** Work that no message causes: timeouts of sagas, and projections. Needs the handlers of the service. */
  readonly loops: Part = {
    open: () => {
      this.sagaRunner.start();
      this.projector?.start();
    },
    close: async () => {
      await this.sagaRunner.stop();
      await this.projector?.stop();
    },
  };
}
