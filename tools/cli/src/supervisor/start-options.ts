import { isTlsRequested } from '../backing/tls/store-tls.ts';
import { UsageError } from '../terminal/cli-error.ts';
import { type App, listApps } from '../workspace.ts';
import { readKeptPorts, type StateFolder } from './state.ts';

/** The options of `start` as typed. */
export interface StartValues {
  port?: string;
  only?: string;
  seed?: boolean;
  detach?: boolean;
  dense?: boolean;
}

/** The public port: --port, else PORT, else the port of the last start, else 3000. */
export function parseStartOptions(values: StartValues, state: StateFolder): StartOptions {
  const kept = readKeptPorts(state).public ?? 3000;
  const text = values.port ?? (process.env.PORT || String(kept));
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new UsageError(`"${text}" is not a port: it must be a number from 1 to 65535.`);
  }
  const only = values.only?.split(',').filter(Boolean);
  selectApps(only);
  isTlsRequested();
  return { port, only, seed: values.seed ?? true, dense: values.dense ?? false };
}

export interface StartOptions {
  port: number;
  only?: string[];
  seed: boolean;
  /** Runs all services in one process. */
  dense: boolean;
  /** Set by `jogakbo serve`, which then runs only this service. */
  onlyServes?: string;
}

export function selectApps(only: string[] | undefined): App[] {
  const apps = listApps();
  const unknown = only?.filter((name) => !apps.some((app) => app.name === name)) ?? [];
  if (unknown.length) {
    throw new UsageError(`There is no service called ${unknown.join(', ')}.`, {
      remedies: [`the services are: ${apps.map(({ name }) => name).join(', ')}`],
    });
  }
  return only ? apps.filter(({ name }) => only.includes(name)) : apps;
}
