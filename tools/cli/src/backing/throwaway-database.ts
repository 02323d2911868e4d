import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { claimPorts } from '../supervisor/ports.ts';
import { generatePassword } from '../supervisor/state.ts';
import { onSignals } from '../terminal/signals.ts';
import { startPrivatePostgres } from './postgres/private-postgres.ts';

/** A signal has ended the work. */
export class Interrupted extends Error {}

/**
 * Starts a private PostgreSQL, and removes it with all its data after the work, also after a signal.
 * @param work gets the URL of an administrator
 * @throws Interrupted after a signal
 */
export async function withThrowawayDatabase<T>(work: (url: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'jogakbo-trial-'));
  // PostgreSQL may run as another user, which must be able to traverse the folder.
  chmodSync(folder, 0o711);
  const interrupted = Promise.withResolvers<never>();
  interrupted.promise.catch(() => undefined);
  // A signal does not interrupt the start, because only a started server can be stopped.
  const release = onSignals(() => interrupted.reject(new Interrupted()));
  try {
    const { postgres: port } = await claimPorts(['postgres']);
    const server = await startPrivatePostgres({
      ...{ folder: join(folder, 'postgres'), logs: join(folder, 'logs'), port },
      ...{ id: `trial-${randomBytes(5).toString('hex')}`, password: generatePassword(), throwaway: true },
    });
    try {
      return await Promise.race([work(server.url), interrupted.promise]);
    } finally {
      await server.stop();
    }
  } finally {
    release();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
