import { findPrevious } from '../deployment/deployments.ts';
import { deployService, print, undoUnfinished } from '../deployment/deploy-service.ts';
import { type Environment, openEnvironment } from '../deployment/environment.ts';
import { CliError, UsageError } from '../terminal/cli-error.ts';
import { checkRollback, formatRefusal } from './contracts.ts';

export interface RollbackOptions {
  environment?: string;
  to?: string;
  reason?: string;
}

/** `jogakbo rollback`: runs an earlier version again, without steps. */
export async function rollback(
  service: string,
  { environment: name, to, reason = 'roll back' }: RollbackOptions,
): Promise<number> {
  const environment = await openEnvironment(name);
  await environment.assertReady();
  const release = await environment.lock();
  try {
    await undoUnfinished(environment);
    const { from, version } = await chooseVersion(environment, service, to);
    await assertHarmless(environment, service, version);
    const settings = { steps: [], watchMs: 0, reason };
    const isDone = await environment.open((engine) =>
      deployService(environment, engine, { service, from, to: version }, settings),
    );
    return isDone ? 0 : 1;
  } finally {
    await release();
  }
}

/** @throws CliError if there is none, or it cannot be started again */
async function chooseVersion(
  environment: Environment,
  service: string,
  to: string | undefined,
): Promise<{ from: string; version: string }> {
  const running = await environment.readRunning();
  const from = running.get(service)?.version;
  if (!from)
    throw new UsageError(`The running store has no service called ${service}.`, {
      remedies: [`one of ${[...running.keys()].join(', ')}`],
    });
  const version = to ?? findPrevious(await environment.history.read(), service, from);
  if (version === from) throw new UsageError(`${service} ${version} is the current version.`);
  const remedies = [`npx jogakbo history ${service}`];
  if (!version) throw new CliError(`No version of ${service} ran before ${from}.`, { remedies });
  const problem = await environment.findMissing({ service, version });
  if (problem) throw new CliError(`${service} ${version} cannot run again: ${problem}.`, { remedies });
  return { from, version };
}

/** @throws CliError that names the consumers that would break, and the fields */
async function assertHarmless({ gateway }: Environment, service: string, version: string): Promise<void> {
  if (!gateway) return print('Contracts are not compared: there is no gateway for a session of an operator.');
  try {
    const check = await checkRollback({ service, version }, gateway.url);
    for (const note of check.notes) print(`note: ${note}`);
    if (check.breakages.length === 0) return;
    throw new RefusedRollback(
      `A rollback of ${service} to ${version} would break what is running; nothing was changed.`,
      {
        details: formatRefusal(check),
        remedies: ['roll back the consumers first', 'or correct the current version and deploy that'],
      },
    );
  } catch (error) {
    if (!(error instanceof CliError) || error instanceof RefusedRollback || error instanceof UsageError)
      throw error;
    // A rollback must be possible also while the gateway or the registry fails.
    print(`note: contracts are not compared: ${error.message}`);
  }
}

class RefusedRollback extends CliError {}
