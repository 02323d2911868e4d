import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { readCommand } from './processes.ts';

export function isFree(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** Given out by this process, and perhaps not listened on yet. */
const given = new Set<number>();

/**
 * A port that is free, and not given out twice. By default one for broker and database: below the range that the kernel
 * hands out for outgoing connections, so that nobody takes it between two starts.
 */
export async function freePort(from = 20_000, to = 28_000): Promise<number> {
  for (;;) {
    const port = randomInt(from, to);
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    return port;
  }
}

/** Keeps each remembered port that is still free and finds another for the rest. */
export async function claimPorts<Name extends string>(
  names: readonly Name[],
  kept: Partial<Record<Name, number>> = {},
): Promise<Record<Name, number>> {
  const ports = {} as Record<Name, number>;
  for (const name of names) {
    const before = kept[name];
    const port = before && (await isFree(before)) ? before : await freePort();
    given.add(port);
    ports[name] = port;
  }
  return ports;
}

/** The process that listens on a port, where the system lets us see it. */
export function findPortHolder(port: number): { pid: number; command: string } | undefined {
  const pid = process.platform === 'linux' ? holderFromProc(port) : holderFromLsof(port);
  return pid ? { pid, command: readCommand(pid) } : undefined;
}

function holderFromProc(port: number): number | undefined {
  const sockets = new Set<string>();
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  for (const table of ['tcp', 'tcp6']) {
    for (const line of readLines(`/proc/net/${table}`)) {
      const fields = line.trim().split(/\s+/);
      if (fields[3] === '0A' && fields[1]?.endsWith(suffix)) sockets.add(`socket:[${fields[9]}]`);
    }
  }
  if (sockets.size === 0) return undefined;
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      for (const fd of readdirSync(`/proc/${entry}/fd`)) {
        if (sockets.has(getLink(`/proc/${entry}/fd/${fd}`))) return Number(entry);
      }
    } catch {
      // a process of somebody else, or one that just ended
    }
  }
  return undefined;
}

function getLink(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

function readLines(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n');
  } catch {
    return [];
  }
}

function holderFromLsof(port: number): number | undefined {
  const { stdout } = spawnSync('lsof', ['-nP', '-t', `-iTCP:${port}`, '-sTCP:LISTEN'], { encoding: 'utf8' });
  return Number((stdout ?? '').split('\n')[0]) || undefined;
}
