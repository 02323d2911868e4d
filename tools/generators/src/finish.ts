import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { installProjects } from './workspace-packages.ts';

/** The commands that derive files from the declarations of all services. */
const derivations = [
  ['map', '--write'],
  ['compose', '--write'],
  ['kubernetes', '--write'],
];

/**
 * Completes a generator after its files are written: links new projects, and derives docs/map, docker-compose.yml and deploy/kubernetes again.
 * @param root of the workspace
 * @param projects folders of new projects, and of those with new dependencies
 * @param next what the developer does next, in lines
 */
export async function finish(
  root: string,
  projects: readonly string[],
  next: readonly string[],
): Promise<void> {
  installProjects(root, projects);
  for (const command of derivations) {
    const { code, output } = await runJogakbo(root, command);
    if (code !== 0)
      console.error(
        `${output.trim()}\n\nThe files are written. Run this again later: npx jogakbo ${command.join(' ')}`,
      );
  }
  console.log(['', ...next].join('\n'));
}

function runJogakbo(root: string, args: readonly string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [join(root, 'tools/cli/src/main.ts'), ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, JOGAKBO_WORKSPACE: root },
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
  return new Promise((resolve) => {
    child.on('error', (error) => resolve({ code: 127, output: error.message }));
    child.on('close', (code) => resolve({ code, output }));
  });
}
