import { spawn } from 'node:child_process';
import { CliError } from '../terminal/cli-error.ts';
import { NxOutput } from './nx-output.ts';
import { signalGroup } from './processes.ts';
import { nxPath, root } from '../workspace.ts';

/** Builds the changed services; Nx detects the changes. */
export function build(
  services: readonly string[] | undefined,
  report: (text: string) => void,
  abort: AbortSignal,
): Promise<string> {
  const args = ['run-many', '-t', 'build', '--parallel=2', '--output-style=static'];
  // Not every project with a build: tools have samples.
  args.push('-p', services?.join(',') ?? 'apps/*');
  return new Promise((resolve, reject) => {
    const child = spawn(nxPath(), args, {
      cwd: root,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NX_DAEMON: 'false', NX_TUI: 'false', FORCE_COLOR: '0', NO_COLOR: '1' },
    });
    const stop = () => signalGroup(child.pid!, 'SIGTERM');
    abort.addEventListener('abort', stop);
    let cached = 0;
    let built = 0;
    const failures: string[] = [];
    const output = new NxOutput((task) => {
      if (task.failed) failures.push(`${task.id}:`, ...task.output);
      else if (task.cached) cached += 1;
      else {
        built += 1;
        report(`built ${task.id.split(':')[0]}`);
      }
    });
    child.stdout.setEncoding('utf8').on('data', (text: string) => output.take(text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => output.take(text));
    child.on('error', (error) =>
      reject(new CliError(`nx cannot be run: ${error.message}.`, { remedies: ['npm ci'] })),
    );
    child.on('close', (code) => {
      abort.removeEventListener('abort', stop);
      output.end();
      if (abort.aborted) reject(abort.reason);
      else if (code === 0) resolve(built ? `built ${built}, ${cached} unchanged` : 'nothing changed');
      else {
        reject(
          new CliError('The build failed.', {
            details: (failures.length ? failures : output.remarks).filter((line) => line.trim()).slice(-30),
            remedies: ['fix the errors above, and start again'],
          }),
        );
      }
    });
  });
}
