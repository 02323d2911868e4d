import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { nodePath, root } from './workspace.ts';

export interface CommandResult {
  code: number | null;
  stdout: string;
  /** stdout and stderr together. */
  output: string;
}

/**
 * Runs the command line for a store that the caller starts and stops, with a broker and a database of its own.
 * @param home the folder of the store's state
 * @param environment additional environment variables
 * @param workspace the workspace with the services to run
 */
export function runJogakbo(
  args: readonly string[],
  home: string,
  environment: NodeJS.ProcessEnv = {},
  workspace = root,
): Promise<CommandResult> {
  const { RABBITMQ_URL: _broker, DATABASE_URL: _database, ...inherited } = process.env;
  const child = spawn(nodePath(), [join(root, 'tools', 'cli', 'src', 'main.ts'), ...args], {
    cwd: workspace,
    // Keeps Ctrl-C away from the store: the caller stops it.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...inherited,
      ...environment,
      JOGAKBO_WORKSPACE: workspace,
      JOGAKBO_HOME: home,
      JOGAKBO_BROKER: 'local',
      NO_COLOR: '1',
    },
  });
  const result: CommandResult = { code: null, stdout: '', output: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    result.stdout += text;
    result.output += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (result.output += text));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ ...result, code }));
  });
}
