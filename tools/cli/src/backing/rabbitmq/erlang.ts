import { randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findPortHolder } from '../../supervisor/ports.ts';
import {
  end,
  findProcessesByEnvironment,
  readCommand,
  identifyProcess,
  type ProcessIdentity,
} from '../../supervisor/processes.ts';

/**
 * Generates a new Erlang cookie. Any process that knows it can run code as the broker. Erlang's own default has only 36 bits,
 * derived from the time.
 * @returns the path of the file, with mode 0400
 */
export function writeErlangCookie(folder: string): string {
  const path = join(folder, '.erlang.cookie');
  rmSync(path, { force: true });
  writeFileSync(path, randomBytes(32).toString('base64url'), { mode: 0o400, flag: 'wx' });
  return path;
}

/** Finds every epmd process for this port, including those that do not listen yet. */
export function findEpmds(port: number): ProcessIdentity[] {
  const holder = findPortHolder(port);
  const found = holder?.command.includes('epmd') ? [holder.pid] : [];
  const started = findProcessesByEnvironment(`ERL_EPMD_PORT=${port}`).filter((pid) =>
    /\bepmd\b/.test(readCommand(pid)),
  );
  return [...new Set([...found, ...started])].flatMap((pid) => identifyProcess(pid) ?? []);
}

/** Ends the epmd of a broker. It is a daemon outside the broker's process group and process tree. */
export async function endEpmd(port: number): Promise<void> {
  await Promise.all(findEpmds(port).map((identity) => end(identity, { timeoutMs: 2_000 })));
}
