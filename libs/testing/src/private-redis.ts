import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Private } from './backing-services.ts';

const binary = '/usr/bin/redis-server';
const policy = '/usr/sbin/policy-rc.d';

/** A Redis of its own, without password and without a file on the disk. */
export interface PrivateRedis extends Private {
  /** Stops it for now, as a fault would. */
  pause(): Promise<void>;
  /** Starts it again, at the same place and empty. */
  resume(): Promise<void>;
}

/**
 * Starts a Redis on a free port. Where there is none it is installed, and that is said.
 * @throws Error that says what to do where it cannot be installed
 */
export async function privateRedis(): Promise<PrivateRedis> {
  const command = redisServer();
  const folder = mkdtempSync(join(tmpdir(), 'jogakbo-redis-'));
  const port = await freePort();
  let stop = await run();
  return {
    url: `redis://127.0.0.1:${port}`,
    pause: () => stop(),
    resume: async () => void (stop = await run()),
    drop: async () => {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };

  async function run(): Promise<() => Promise<void>> {
    const settings = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', folder];
    const child = spawn(command, settings, { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(child, 'exit');
    const endWithUs = () => child.kill('SIGKILL');
    process.once('exit', endWithUs);
    const ready = (async () => {
      for await (const line of createInterface(child.stdout)) {
        if (line.includes('Ready to accept connections')) return true;
      }
      return false;
    })();
    if (!(await ready)) throw new Error(`${command} ended before it was ready`);
    child.stdout.resume();
    return async () => {
      process.removeListener('exit', endWithUs);
      child.kill('SIGTERM');
      await ended;
    };
  }
}

function redisServer(): string {
  const found = (process.env['PATH'] ?? '').split(':').map((folder) => join(folder, 'redis-server'));
  const there = found.find((path) => existsSync(path));
  if (there) return there;
  if (process.getuid?.() !== 0 || !existsSync('/etc/debian_version')) {
    throw new Error('no redis-server here: install it (Debian, Ubuntu: sudo apt-get install redis-server)');
  }
  console.warn('no Redis here: installing Debian’s package redis-server with apt-get');
  // The system's own service is not started.
  const policyIsOurs = !existsSync(policy);
  if (policyIsOurs) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' };
    const options = ['-o', 'DPkg::Lock::Timeout=120', 'install', '-y', '--no-install-recommends'];
    execFileSync('apt-get', [...options, 'redis-server'], { env: environment, stdio: 'pipe' });
  } finally {
    if (policyIsOurs) rmSync(policy, { force: true });
  }
  return binary;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
