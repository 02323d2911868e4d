import { spawn } from 'node:child_process';
import { listAffectedFiles } from '@jogakbo/delivery/src/affected.ts';
import { CliError } from '../terminal/cli-error.ts';
import { onSignals } from '../terminal/signals.ts';
import { nxPath, root } from '../workspace.ts';

export interface AffectedOptions {
  base: string;
  json?: boolean;
}

/** The longest argument of a process on Linux, with a margin. */
const longestList = 100_000;

/** `jogakbo affected`: Nx, with an exact answer for changes of package-lock.json. */
export async function affected(targets: readonly string[], { base, json }: AffectedOptions): Promise<number> {
  const files = listAffectedFiles(root, base);
  if (files.length === 0) {
    console.log(json ? '[]' : 'Nothing is affected.');
    return 0;
  }
  const list = files.join();
  const scope = list.length < longestList ? `--files=${list}` : `--base=${base}`;
  const args =
    targets.length > 0
      ? ['affected', '-t', ...targets, scope, '--output-style=static']
      : ['show', 'projects', '--affected', scope, ...(json ? ['--json'] : [])];
  return runNx(args);
}

function runNx(args: string[]): Promise<number> {
  const child = spawn(nxPath(), args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, NX_DAEMON: 'false', NX_TUI: 'false' },
  });
  const release = onSignals((signal) => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.on('error', (error) =>
      reject(new CliError(`nx cannot be run: ${error.message}.`, { remedies: ['npm ci'] })),
    );
    child.on('close', (code) => {
      release();
      resolve(code ?? 130);
    });
  });
}
