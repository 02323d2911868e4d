import { existsSync } from 'node:fs';
import { findPrevious, lockDeployments, readDeployments } from '../deployment/deployments.ts';
import { openEngine } from '../deployment/open-engine.ts';
import { getReleaseFolder, readRunningReleases } from '../deployment/releases.ts';
import { openState } from '../supervisor/state.ts';
import { CliError, UsageError } from '../terminal/cli-error.ts';
import { deployOne } from './deploy.ts';
import { findReadyStore } from './operator-client.ts';

export interface RollbackOptions {
  to?: string;
  reason?: string;
}

/** `jogakbo rollback`: runs an earlier version again, without steps. */
export async function rollback(service: string, { to, reason }: RollbackOptions): Promise<number> {
  const state = openState();
  findReadyStore(state);
  const release = await lockDeployments(state);
  try {
    const running = readRunningReleases(state);
    const current = running.get(service)?.version;
    if (!current)
      throw new UsageError(`The running store has no service called ${service}.`, {
        remedies: [`one of ${[...running.keys()].join(', ')}`],
      });
    const version = to ?? findPrevious(readDeployments(state), service, current);
    if (version === current) throw new UsageError(`${service} ${version} is the current version.`);
    if (!version || !existsSync(getReleaseFolder(state, { service, version })))
      throw new CliError(
        version
          ? `The artefact of ${service} ${version} does not exist any more.`
          : `No version of ${service} ran before ${current}.`,
        { remedies: [`npx jogakbo history ${service}`] },
      );
    const settings = { steps: [100], watchMs: 0, reason: reason ?? 'roll back' };
    const isDone = await openEngine(state, (engine) =>
      deployOne(state, engine, { service, from: current, to: version }, settings),
    );
    return isDone ? 0 : 1;
  } finally {
    release();
  }
}
