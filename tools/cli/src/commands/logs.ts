import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { UsageError } from '../terminal/cli-error.ts';
import { type LogEntry, parseLine, renderLine } from '../terminal/log-line.ts';
import { LogSource, mergeByTime } from '../terminal/log-source.ts';
import { toPrintable } from '../terminal/printable.ts';
import { listApps } from '../workspace.ts';
import { openRunningState } from '../supervisor/running-state.ts';

/** All services, followed by other names with a log file. */
function listLogs(folder: string): string[] {
  const present = readdirSync(folder)
    .filter((file) => file.endsWith('.log'))
    .map((file) => file.slice(0, -4));
  return [...new Set([...listApps().map(({ name }) => name), ...present])];
}

export interface LogsOptions {
  follow?: boolean;
  lines: string;
  trace?: string;
  json?: boolean;
}

export async function logs(names: string[], options: LogsOptions): Promise<number> {
  const { follow, json = false, trace } = options;
  if (trace !== undefined) return showTrace(trace, names, json);
  const lines = Number(options.lines);
  if (!Number.isInteger(lines) || lines < 0)
    throw new UsageError(`--lines "${options.lines}" is not a number of lines.`);
  const state = openRunningState();
  const known = listLogs(state.logs);
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length) {
    throw new UsageError(`There is no log of ${unknown.join(', ')}.`, {
      remedies: [`choose from: ${known.join(', ')}`],
    });
  }
  const chosen = names.length ? names : [...listApps().map(({ name }) => name), 'supervisor'];
  const width = Math.max(...chosen.map((name) => name.length));
  const colours = process.stdout.isTTY && !process.env.NO_COLOR;
  const print = (entries: LogEntry[]) => {
    for (const { line } of entries) console.log(json ? toPrintable(line) : renderLine(line, colours, width));
  };
  const sources = chosen.map((name) => new LogSource(join(state.logs, `${name}.log`), lines));
  const readNew = () => mergeByTime(sources.map((source) => source.readNew()));
  const history = readNew();
  if (history.length === 0 && !follow) console.error('There are no logs yet.');
  print(lines ? history.slice(-lines) : []);
  while (follow) {
    await pause(200);
    print(readNew());
  }
  return 0;
}

/** Prints the lines of one request from all services, ordered by time, including rotated log files. */
function showTrace(id: string, names: string[], json: boolean): number {
  if (!/^[0-9a-f]{4,32}$/.test(id) || names.length) {
    throw new UsageError(
      names.length
        ? '--trace shows all services: omit the service names.'
        : `"${id}" is not a trace id: use its 32 hexadecimal digits, or at least the first four.`,
    );
  }
  const { logs } = openRunningState();
  const services = listLogs(logs);
  const width = Math.max(...services.map((name) => name.length));
  const found = mergeByTime(
    services.flatMap((name) =>
      [`${name}.log.1`, `${name}.log`]
        .map((file) => join(logs, file))
        .filter(existsSync)
        .map((path) => new LogSource(path).readNew()),
    ),
  ).filter(({ line }) => parseLine(line)?.traceId?.startsWith(id));
  const traces = new Set(found.map(({ line }) => parseLine(line)!.traceId));
  if (traces.size > 1) {
    throw new UsageError(`${id} matches ${traces.size} traces.`, {
      details: [...traces].slice(0, 10).map(String),
      remedies: ['use a longer prefix of the id'],
    });
  }
  if (found.length === 0) {
    console.error(`The logs have no line of the trace ${id}.`);
    return 1;
  }
  const colours = process.stdout.isTTY && !process.env.NO_COLOR;
  for (const { line } of found) console.log(json ? toPrintable(line) : renderLine(line, colours, width));
  return 0;
}
