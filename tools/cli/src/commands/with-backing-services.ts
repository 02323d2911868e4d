import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { onSignals } from '../terminal/signals.ts';
import { startThrowawayServices } from '../backing/throwaway-services.ts';

/** Runs a command with TEST_DATABASE_URL and TEST_RABBITMQ_URL: from the environment, else of throw-away servers. */
export async function withBackingServices(command: string, args: string[]): Promise<number> {
  if (process.env.TEST_DATABASE_URL && process.env.TEST_RABBITMQ_URL) return run(command, args, {});
  // A signal does not interrupt the start, because only started services can be stopped.
  let interrupted = false;
  const release = onSignals(() => (interrupted = true));
  const services = await startThrowawayServices((text) => console.error(text));
  release();
  try {
    return interrupted ? 130 : await run(command, args, services.env);
  } finally {
    const ignore = onSignals(() => undefined);
    await services.stop();
    ignore();
  }
}

function run(command: string, args: string[], env: NodeJS.ProcessEnv): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: 'inherit', env: { ...process.env, ...env } });
    const release = onSignals((signal) => child.kill(signal));
    child.on('error', (error) => {
      release();
      reject(error);
    });
    child.on('exit', (code, signal) => {
      release();
      resolve(code ?? 128 + (signal ? constants.signals[signal] : 1));
    });
  });
}
