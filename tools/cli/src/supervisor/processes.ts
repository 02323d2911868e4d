import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

/** Identifies a process by pid and start time, because pids are reused. */
export interface ProcessIdentity {
  pid: number;
  began: string;
}

interface Stat {
  parent: number;
  state: string;
  began: string;
}

function readStat(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0] ?? '', parent: Number(fields[1]), began: fields[19] ?? '' };
  } catch {
    return process.platform === 'linux' ? undefined : readStatFromPs(pid);
  }
}

function readStatFromPs(pid: number): Stat | undefined {
  const { stdout } = spawnSync('ps', ['-o', 'ppid=,state=,lstart=', '-p', String(pid)], { encoding: 'utf8' });
  const match = /^\s*(\d+)\s+(\S+)\s+(.+?)\s*$/m.exec(stdout ?? '');
  return match ? { parent: Number(match[1]), state: match[2]!, began: match[3]! } : undefined;
}

/** Undefined if the process has exited, including zombies. */
export function identifyProcess(pid: number | undefined): ProcessIdentity | undefined {
  if (!pid) return undefined;
  const stat = readStat(pid);
  return stat && !stat.state.startsWith('Z') ? { pid, began: stat.began } : undefined;
}

export function isAlive(identity: ProcessIdentity | undefined): boolean {
  return identity !== undefined && identifyProcess(identity.pid)?.began === identity.began;
}

export function readCommand(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    const { stdout } = spawnSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' });
    return (stdout ?? '').trim();
  }
}

export function signal(identity: ProcessIdentity | undefined, name: NodeJS.Signals): void {
  if (!identity || !isAlive(identity)) return;
  try {
    process.kill(identity.pid, name);
  } catch {
    // it has exited in the meantime
  }
}

export async function waitUntilGone(
  identity: ProcessIdentity | undefined,
  timeoutMs: number,
): Promise<boolean> {
  for (const until = Date.now() + timeoutMs; isAlive(identity);) {
    if (Date.now() > until) return false;
    await pause(40);
  }
  return true;
}

/** Sends a signal, and SIGKILL after the timeout. Resolves to true if the process exited without SIGKILL. */
export async function end(
  identity: ProcessIdentity | undefined,
  { by = 'SIGTERM', timeoutMs = 10_000 }: { by?: NodeJS.Signals; timeoutMs?: number } = {},
): Promise<boolean> {
  signal(identity, by);
  if (await waitUntilGone(identity, timeoutMs)) return true;
  signal(identity, 'SIGKILL');
  await waitUntilGone(identity, 5_000);
  return false;
}

/** Sends a signal to a process group. Ignores a group that has exited. */
export function signalGroup(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(-pid, name);
  } catch {
    // it has already exited
  }
}

/** Finds the pids of processes with this NAME=value in their initial environment. Empty without /proc. */
export function findProcessesByEnvironment(variable: string): number[] {
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc').flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return [];
    try {
      const environment = readFileSync(`/proc/${entry}/environ`, 'utf8').split('\0');
      return environment.includes(variable) ? [Number(entry)] : [];
    } catch {
      return []; // of another user, or exited
    }
  });
}

/** Reads a variable of the initial environment of a process. Undefined without /proc or permission. */
export function readEnvironment(pid: number, name: string): string | undefined {
  try {
    const lines = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
    return lines.find((line) => line.startsWith(`${name}=`))?.slice(name.length + 1);
  } catch {
    return undefined;
  }
}

/** The process and all its descendants. */
export function listTree(pid: number): number[] {
  if (process.platform !== 'linux') return [pid];
  const children = new Map<number, number[]>();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const parent = readStat(Number(entry))?.parent;
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), Number(entry)]);
  }
  const found = [pid];
  for (const next of found) found.push(...(children.get(next) ?? []));
  return found;
}

/** Memory of a process in bytes: the proportional set size where available, else the resident set size. */
export function readMemory(pid: number): number {
  for (const [file, line] of [
    ['smaps_rollup', /^Pss:\s+(\d+) kB/m],
    ['status', /^VmRSS:\s+(\d+) kB/m],
  ] as const) {
    try {
      const match = line.exec(readFileSync(`/proc/${pid}/${file}`, 'utf8'));
      if (match) return Number(match[1]) * 1024;
    } catch {
      // no permission, or exited: try the next source
    }
  }
  if (process.platform === 'linux') return 0;
  const { stdout } = spawnSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' });
  return Number((stdout ?? '').trim() || 0) * 1024;
}
