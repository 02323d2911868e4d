import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { administratorLogin, type BackingService } from './backing-service.ts';
import { provideBroker } from './rabbitmq/broker.ts';
import { provideDatabase } from './postgres/database.ts';
import { claimPorts } from '../supervisor/ports.ts';
import { generatePassword } from '../supervisor/state.ts';

export interface ThrowawayServices {
  env: {
    TEST_DATABASE_URL: string;
    TEST_RABBITMQ_URL: string;
    TEST_RABBITMQ_MANAGEMENT_URL: string;
  };
  stop(): Promise<void>;
}

/** Starts a broker and a database for tests. stop() removes all their data. */
export async function startThrowawayServices(report: (text: string) => void): Promise<ThrowawayServices> {
  const folder = mkdtempSync(join(tmpdir(), 'jogakbo-test-'));
  // PostgreSQL may run as another user, which must be able to traverse the folder.
  chmodSync(folder, 0o711);
  const id = randomBytes(5).toString('hex');
  const secret = generatePassword();
  const ports = await claimPorts(['amqp', 'management', 'distribution', 'epmd', 'postgres']);
  const logs = join(folder, 'logs');
  const started: BackingService[] = [];
  const stop = async () => {
    await Promise.all(started.map((service) => service.stop()));
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  const keep = (service: BackingService) => {
    started.push(service);
    return service;
  };
  const [broker, database] = await Promise.allSettled([
    provideBroker(
      {
        folder: join(folder, 'rabbitmq'),
        logs,
        name: `jogakbo-test-${id}`,
        password: secret,
        ports,
        throwaway: true,
      },
      report,
    ).then(keep),
    provideDatabase(
      {
        folder: join(folder, 'postgres'),
        logs,
        id: `test-${id}`,
        password: secret,
        port: ports.postgres,
        throwaway: true,
      },
      report,
    ).then(keep),
  ]);
  if (broker.status === 'rejected' || database.status === 'rejected') {
    await stop();
    throw broker.status === 'rejected' ? broker.reason : (database as PromiseRejectedResult).reason;
  }
  return {
    env: {
      TEST_DATABASE_URL: database.value.url,
      TEST_RABBITMQ_URL: broker.value.url,
      TEST_RABBITMQ_MANAGEMENT_URL: broker.value.managementUrl!.replace(
        '//',
        `//${administratorLogin}:${secret}@`,
      ),
    },
    stop,
  };
}
