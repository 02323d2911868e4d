import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** The commands that derive files from the declarations of all services. */
const fromManifests = ['compose', 'owners'];
/** Those that also read what the builds of the services describe. */
const fromBuilds = ['map', 'docs', 'kubernetes'];

/**
 * Derives the files again that are generated from the declarations of all services: docs, docker-compose.yml and others.
 * @param root of the workspace
 * @returns what failed, in lines: the command, and what it printed
 */
export async function writeDerivedFiles(root: string): Promise<string[]> {
  const exists = (name: string) => existsSync(join(root, `tools/cli/src/command-line/${name}.ts`));
  const failed = await Promise.all([
    writeFromBuilds(root, fromBuilds.filter(exists)),
    ...fromManifests.filter(exists).map((name) => runJogakbo(root, [name, '--write'])),
  ]);
  return failed.flat();
}

/** The first command builds what has changed, in any service: a file derived from an old build would undo a change. */
async function writeFromBuilds(root: string, [first, ...others]: readonly string[]): Promise<string[]> {
  if (!first) return [];
  const failed = await runJogakbo(root, [first, '--write']);
  if (failed.length > 0) return failed;
  for (const command of others) failed.push(...(await runJogakbo(root, [command, '--write', '--no-build'])));
  return failed;
}

const runJogakbo = (root: string, args: readonly string[]): Promise<string[]> =>
  run(root, `npx jogakbo ${args.join(' ')}`, [join(root, 'tools/cli/src/main.ts'), ...args]);

/** @returns the output of a program that failed, after its title */
function run(root: string, title: string, args: readonly string[]): Promise<string[]> {
  const child = spawn(process.execPath, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, JOGAKBO_WORKSPACE: root },
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
  return new Promise((resolve) => {
    child.on('error', (error) => resolve([`${title}: ${error.message}`]));
    child.on('close', (code) => resolve(code === 0 ? [] : [`${title}:`, ...output.trim().split('\n')]));
  });
}
