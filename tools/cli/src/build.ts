import { type ChildProcess, spawn } from 'node:child_process';
import { Fault } from './fault.ts';
import { nxPath, root } from './workspace.ts';

/** Ends nx and everything it started. */
function endGroup(child: ChildProcess): void {
  try {
    process.kill(-child.pid!, 'SIGTERM');
  } catch {
    // already gone
  }
}

/** Builds what changed; Nx knows what did. */
export function build(services: readonly string[] | undefined, say: (text: string) => void, abort: AbortSignal): Promise<string> {
  const args = ['run-many', '-t', 'build', '--parallel=2', '--output-style=static'];
  if (services) args.push('-p', services.join(','));
  return new Promise((resolve, reject) => {
    const child = spawn(nxPath(), args, {
      cwd: root,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NX_DAEMON: 'false', NX_TUI: 'false', FORCE_COLOR: '0', NO_COLOR: '1' },
    });
    const stop = () => endGroup(child);
    abort.addEventListener('abort', stop);
    let output = '';
    let cached = 0;
    let built = 0;
    const take = (data: Buffer) => {
      const text = String(data);
      output += text;
      for (const [, project, cache] of text.matchAll(/✔\s+nx run ([\w-]+):build(?:\s+(\[.*cache.*\]))?/g)) {
        if (cache) cached += 1;
        else {
          built += 1;
          say(`built ${project}`);
        }
      }
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.on('error', (error) => reject(new Fault(`nx cannot be run: ${error.message}.`, { remedies: ['npm ci'] })));
    child.on('close', (code) => {
      abort.removeEventListener('abort', stop);
      if (abort.aborted) reject(abort.reason);
      else if (code === 0) resolve(built ? `built ${built}, ${cached} unchanged` : 'nothing changed');
      else {
        reject(
          new Fault('The build failed.', {
            details: output.trim().split('\n').slice(-30),
            remedies: ['mend what is named above, and start again'],
          }),
        );
      }
    });
  });
}
