import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Private } from './backing-services.ts';
import { ensureDebianProgram } from './debian-program.ts';

/** A private Redis without password and persistence. */
export interface PrivateRedis extends Private {
  /** Stops it until `resume()`. */
  pause(): Promise<void>;
  /** Starts it again on the same port, empty. */
  resume(): Promise<void>;
  /** Suspends its process until `thaw()`; its connections stay open. */
  freeze(): void;
  thaw(): void;
}

/**
 * Starts a Redis on a free port. If Redis is missing, it is installed with a warning.
 * @throws Error with instructions if it cannot be installed
 */
export async function startPrivateRedis(): Promise<PrivateRedis> {
  const command = ensureDebianProgram('redis-server', 'redis-server');
  const folder = mkdtempSync(join(tmpdir(), 'jogakbo-redis-'));
  const port = await findFreePort();
  let redis = await run();
  return {
    url: `redis://127.0.0.1:${port}`,
    pause: () => redis.stop(),
    resume: async () => void (redis = await run()),
    freeze: () => void redis.child.kill('SIGSTOP'),
    thaw: () => void redis.child.kill('SIGCONT'),
    drop: async () => {
      await redis.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };

  async function run(): Promise<{ child: ChildProcess; stop: () => Promise<void> }> {
    const settings = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', folder];
    const child = spawn(command, settings, { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(child, 'exit');
    const killOnExit = () => child.kill('SIGKILL');
    process.once('exit', killOnExit);
    const ready = (async () => {
      for await (const line of createInterface(child.stdout)) {
        if (line.includes('Ready to accept connections')) return true;
      }
      return false;
    })();
    if (!(await ready)) throw new Error(`${command} exited before it was ready`);
    child.stdout.resume();
    const stop = async () => {
      process.removeListener('exit', killOnExit);
      child.kill('SIGTERM');
      // A suspended process ends only after SIGCONT.
      child.kill('SIGCONT');
      await ended;
    };
    return { child, stop };
  }
}

async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
