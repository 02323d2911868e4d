import { setTimeout as pause } from 'node:timers/promises';
import { readProjections, requestRebuild } from '@jogakbo/consistency/rebuild';
import { nearestName } from '@jogakbo/service/nearest-name';
import { audit } from '../supervisor/audit-log.ts';
import { CliError, UsageError } from '../terminal/cli-error.ts';
import { findRunningStore, openRunningState } from '../supervisor/running-state.ts';
import { listStoreServices, withDatabase } from '../supervisor/store-access.ts';
import { formatTable } from '../terminal/text-table.ts';
import { listApps } from '../workspace.ts';

export async function listProjections(only: string | undefined): Promise<number> {
  if (only !== undefined) assertHasDatabase(only);
  const state = openRunningState();
  const run = findRunningStore(state);
  if (!run) throw new CliError('The store is not running.', { remedies: ['start it:  npm start'] });
  const running = listStoreServices(run);
  if (only !== undefined && !running.includes(only))
    throw new CliError(`The running store has no service called ${only}.`, { remedies: ['npx jogakbo ps'] });
  const rows = [['service', 'projection', 'generation', 'behind', '']];
  for (const { name: service, hasDatabase } of listApps()) {
    if (!hasDatabase || !running.includes(service) || (only && only !== service)) continue;
    const projections = await withDatabase(state, service, 'jogakbo projection', readProjections);
    for (const { name, generation, behind, building, progress, fault } of projections) {
      const note = fault ?? (building ? `being rebuilt, ${progress} %` : '');
      rows.push([service, name, String(generation), String(behind), note]);
    }
  }
  console.log(formatTable(rows).join('\n'));
  return 0;
}

/** @throws UsageError with the most similar name */
function assertHasDatabase(service: string): void {
  const known = listApps().flatMap(({ name, hasDatabase }) => (hasDatabase ? name : []));
  if (known.includes(service)) return;
  const meant = nearestName(service, known);
  throw new UsageError(`There is no service called ${service} with a database.`, {
    remedies: [meant ? `did you mean ${meant}?` : `one of ${known.join(', ')}`],
  });
}

/** Waits for the end of the rebuild. The service rebuilds, so interrupting this command does not stop it. */
export async function rebuildProjection(service: string, name: string): Promise<number> {
  assertHasDatabase(service);
  const state = openRunningState();
  return withDatabase(state, service, 'jogakbo projection', async (client) => {
    const find = async () => (await readProjections(client)).find((one) => one.name === name);
    const before = await find();
    if (!before) {
      throw new UsageError(`${service} has no projection called ${name}.`, {
        remedies: ['npx jogakbo projection list'],
      });
    }
    audit(state, { what: 'rebuild', service, projection: name });
    await requestRebuild(client, name);
    const began = Date.now();
    for (let shown = -1, projection = await find(); projection?.building; projection = await find()) {
      if (projection.fault) {
        throw new CliError(`${name} cannot be built: ${projection.fault}`, {
          remedies: [
            `npx jogakbo logs ${service}`,
            'the current generation stays in use; fix the projection and restart the service',
          ],
        });
      }
      if (projection.progress > shown) console.log(`${name}: ${(shown = projection.progress)} % of the log`);
      await pause(250);
    }
    console.log(`${name} of ${service} was built again in ${((Date.now() - began) / 1_000).toFixed(1)} s`);
    return 0;
  });
}
