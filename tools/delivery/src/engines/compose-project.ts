import { spawn } from 'node:child_process';
import { DeliveryError } from '../delivery-error.ts';

export interface CommandResult {
  code: number;
  stdout: string;
  /** The last lines of both streams. */
  lines: string[];
}

export type RunCommand = (command: readonly string[]) => Promise<CommandResult>;

/** A container of a service, as `docker inspect` shows it. */
export interface Container {
  id: string;
  /** From its label; undefined for a container that `jogakbo deploy` has not started. */
  version: string | undefined;
  /** It runs a new version beside the current one. */
  isCandidate: boolean;
  isRunning: boolean;
  /** Its health check succeeds. */
  isHealthy: boolean;
  exitCode: number;
  restarts: number;
}

interface Inspected {
  Id: string;
  RestartCount: number;
  State: { Running: boolean; ExitCode: number; Health?: { Status: string } };
  Config: { Labels: Record<string, string> | null };
}

export const containerLabels = { version: 'jogakbo.version', candidate: 'jogakbo.candidate' } as const;

export interface ComposeOptions {
  /** The name of the project. */
  project: string;
  /** Compose files, later ones on top of earlier ones. */
  files: readonly string[];
  /** A context of the Docker command line; by default the current one. */
  context?: string | undefined;
  /** The command of Compose; by default the plugin of Docker. */
  compose?: readonly string[];
  run?: RunCommand;
}

/** Seconds in which a process ends after SIGTERM: it drains. */
const stopSeconds = 20;

/** The containers of one Docker Compose project. */
export class ComposeProject {
  readonly #options: ComposeOptions;
  readonly #run: RunCommand;

  constructor(options: ComposeOptions) {
    this.#options = options;
    this.#run = options.run ?? runCommand;
  }

  /** Runs `docker <args>`. @throws DeliveryError if it fails */
  async docker(...args: string[]): Promise<string> {
    return (await this.#assertDone([...this.#dockerCommand, ...args])).stdout;
  }

  /** Runs `docker compose <args>` in this project. @throws DeliveryError if it fails */
  async compose(...args: string[]): Promise<string> {
    return (await this.#assertDone(this.#composeCommand(args))).stdout;
  }

  /** Runs `docker compose <args>` in this project, for a command whose failure means something. */
  tryCompose(...args: string[]): Promise<CommandResult> {
    return this.#run(this.#composeCommand(args));
  }

  /** All containers of a service, also those that have ended. Those with the current version come first. */
  async listContainers(service: string): Promise<Container[]> {
    const filters = [`project=${this.#options.project}`, `service=${service}`].flatMap((one) => [
      '--filter',
      `label=com.docker.compose.${one}`,
    ]);
    const ids = (await this.docker('ps', '--all', '--quiet', '--no-trunc', ...filters))
      .split('\n')
      .filter(Boolean);
    if (ids.length === 0) return [];
    const inspected = JSON.parse(await this.docker('inspect', ...ids)) as Inspected[];
    return inspected
      .map(toContainer)
      .sort((one, other) => Number(one.isCandidate) - Number(other.isCandidate));
  }

  /** Runs a program in a container. @returns what it prints; undefined if it fails, or the container has ended */
  async execute(id: string, ...command: string[]): Promise<string | undefined> {
    const { code, stdout } = await this.#run([...this.#dockerCommand, 'exec', id, ...command]);
    return code === 0 ? stdout : undefined;
  }

  async readLog(id: string, lines: number): Promise<string[]> {
    const result = await this.#run([...this.#dockerCommand, 'logs', '--tail', String(lines), id]);
    return result.lines.slice(-lines);
  }

  /** Stops and removes containers. Their processes drain before. */
  async remove(containers: readonly Container[]): Promise<void> {
    if (containers.length === 0) return;
    const ids = containers.map(({ id }) => id);
    await this.docker('stop', '-t', String(stopSeconds), ...ids);
    await this.docker('rm', '--force', ...ids);
  }

  get #dockerCommand(): string[] {
    const { context } = this.#options;
    return ['docker', ...(context ? ['--context', context] : [])];
  }

  #composeCommand(args: readonly string[]): string[] {
    const { compose, project, files } = this.#options;
    const command = compose ?? [...this.#dockerCommand, 'compose'];
    return [...command, '--project-name', project, ...files.flatMap((file) => ['--file', file]), ...args];
  }

  async #assertDone(command: readonly string[]): Promise<CommandResult> {
    const result = await this.#run(command);
    if (result.code === 0) return result;
    throw new DeliveryError(`${command.slice(0, 4).join(' ')} … failed with exit code ${result.code}.`, {
      details: [command.join(' '), ...result.lines.slice(-10)],
    });
  }
}

const toContainer = ({ Id, RestartCount, State, Config }: Inspected): Container => {
  const labels = Config.Labels ?? {};
  return {
    id: Id,
    version: labels[containerLabels.version],
    isCandidate: labels[containerLabels.candidate] !== undefined,
    isRunning: State.Running,
    isHealthy: State.Running && (State.Health?.Status ?? 'healthy') === 'healthy',
    exitCode: State.ExitCode,
    restarts: RestartCount,
  };
};

/** The most lines that are kept of a command. */
const keptLines = 200;

function runCommand([program, ...args]: readonly string[]): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program!, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    let stdout = '';
    let both = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      both += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => (both += text));
    child.on('error', (error) =>
      reject(
        new DeliveryError(`${program} cannot be started: ${error.message}; nothing was changed.`, {
          remedies: ['install Docker with Compose: https://docs.docker.com/engine/install/'],
        }),
      ),
    );
    child.on('close', (code) =>
      resolve({ code: code ?? 1, stdout, lines: both.split('\n').filter(Boolean).slice(-keptLines) }),
    );
  });
}
