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

/** Ports issued by this process. Some may have no listener yet. */
const issuedPorts = new Set<number>();

/**
 * Finds a free port that was not issued before. The default range is below the ephemeral ports, so that no outgoing
 * connection takes a port of broker or database between two starts.
 */
export async function findFreePort(from = 20_000, to = 28_000): Promise<number> {
  for (;;) {
    const port = randomInt(from, to);
    if (issuedPorts.has(port) || !(await isFree(port))) continue;
    issuedPorts.add(port);
    return port;
  }
}

/** Keeps each stored port that is still free and finds new ports for the rest. */
export async function claimPorts<Name extends string>(
  names: readonly Name[],
  kept: Partial<Record<Name, number>> = {},
): Promise<Record<Name, number>> {
  const ports = {} as Record<Name, number>;
  for (const name of names) {
    const before = kept[name];
    const port = before && (await isFree(before)) ? before : await findFreePort();
    issuedPorts.add(port);
    ports[name] = port;
  }
  return ports;
}

/** Finds the process that listens on a port. Undefined without permission to see it. */
export function findPortHolder(port: number): { pid: number; command: string } | undefined {
  const pid = process.platform === 'linux' ? findHolderInProc(port) : findHolderWithLsof(port);
  return pid ? { pid, command: readCommand(pid) } : undefined;
}

function findHolderInProc(port: number): number | undefined {
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
      // a process of another user, or one that has just exited
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

function findHolderWithLsof(port: number): number | undefined {
  const { stdout } = spawnSync('lsof', ['-nP', '-t', `-iTCP:${port}`, '-sTCP:LISTEN'], { encoding: 'utf8' });
  return Number((stdout ?? '').split('\n')[0]) || undefined;
}
