import { join } from 'node:path';
import { BusDescription } from '@jogakbo/messaging/grants';
import { readJson } from './supervisor/state.ts';
import { CliError } from './terminal/cli-error.ts';
import { type App, listApps } from './workspace.ts';

/** Reads the bus description that the build of an app has written. */
export const readBus = ({ folder }: App): BusDescription | undefined =>
  BusDescription.safeParse(readJson(join(folder, 'dist', 'bus.json'))).data;

/**
 * Reads the descriptions of the built services among `all` (default: of this workspace).
 * @throws CliError if one of `wanted` is not built
 */
export function readBusDescriptions(
  wanted: readonly App[],
  all: readonly App[] = listApps(),
): BusDescription[] {
  const missing = wanted.filter((app) => !readBus(app)).map(({ name }) => name);
  if (missing.length > 0) {
    throw new CliError(`The build of ${missing.join(', ')} has no bus description.`, {
      details: missing.map((name) => `apps/${name}/dist/bus.json is missing`),
      remedies: [`npx nx run-many -t build -p ${missing.join(',')}`],
    });
  }
  return all.flatMap((app) => readBus(app) ?? []);
}
