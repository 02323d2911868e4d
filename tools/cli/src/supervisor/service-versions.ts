import { CliError } from '../terminal/cli-error.ts';
import { type ServiceRecord } from './run-record.ts';
import { type LaunchCommand } from './service-launch.ts';
import { type ServiceProcess } from './service-process.ts';

/** The processes of one version of a service. */
interface Version {
  version: string;
  launch: LaunchCommand;
  processes: ServiceProcess[];
}

/**
 * All processes of one service. Normally they run one version, in one or more instances. During a rollout the candidate runs
 * beside it: it becomes the current version, or it is withdrawn. The current version keeps its strength meanwhile.
 */
export class ServiceVersions {
  readonly name: string;
  readonly #spawn: (launch: LaunchCommand) => ServiceProcess;
  readonly #onChange: () => void;
  #current: Version;
  #candidate?: Version;

  /** @param spawn creates a process without starting it */
  constructor(
    name: string,
    version: string,
    launch: LaunchCommand,
    spawn: (launch: LaunchCommand) => ServiceProcess,
    onChange: () => void,
  ) {
    this.name = name;
    this.#spawn = spawn;
    this.#onChange = onChange;
    this.#current = { version, launch, processes: [spawn(launch)] };
  }

  get launch(): LaunchCommand {
    return this.#current.launch;
  }

  get version(): string {
    return this.#current.version;
  }

  get candidate(): string | undefined {
    return this.#candidate?.version;
  }

  get processes(): ServiceProcess[] {
    return [...this.#current.processes, ...(this.#candidate?.processes ?? [])];
  }

  toRecords(): ServiceRecord[] {
    return [this.#current, ...(this.#candidate ? [this.#candidate] : [])].flatMap(({ version, processes }) =>
      processes.map((process) => ({ ...process.toRecord(), version })),
    );
  }

  async start(): Promise<void> {
    await this.#startAll(this.#current.processes);
  }

  async stop(force = false): Promise<void> {
    await Promise.all(this.processes.map((process) => process.stop(force)));
  }

  async suspend(): Promise<void> {
    await Promise.all(this.#current.processes.map((process) => process.suspend()));
  }

  async resume(): Promise<void> {
    await Promise.all(this.#current.processes.map((process) => process.resume()));
  }

  /** Restarts one process after the other. @throws EarlyExit if one does not become ready; its start is retried */
  async restart(): Promise<void> {
    for (const process of this.#current.processes) await process.restart();
  }

  /** Sets the number of instances. Resolves when new ones are ready and others have drained. @throws EarlyExit */
  async scale(count: number): Promise<void> {
    this.#assertNoRollout();
    const { processes, launch } = this.#current;
    const added = Array.from({ length: Math.max(0, count - processes.length) }, () => this.#spawn(launch));
    await this.#startAll(added);
    const removed = processes.slice(count);
    this.#current.processes = [...processes.slice(0, count), ...added];
    await Promise.all(removed.map((process) => process.stop()));
    this.#onChange();
  }

  /** Starts another version beside the current one, with as many instances. @throws EarlyExit, after it has ended all of them */
  async startCandidate(version: string, launch: LaunchCommand): Promise<void> {
    this.#assertNoRollout();
    if (version === this.#current.version)
      throw new CliError(`${this.name} ${version} is the current version already.`);
    const processes = this.#current.processes.map(() => this.#spawn(launch));
    this.#candidate = { version, launch, processes };
    try {
      await this.#startAll(processes);
    } catch (error) {
      this.#candidate = undefined;
      throw error;
    } finally {
      this.#onChange();
    }
  }

  /** Makes the candidate the current version. Resolves when the processes of the previous one have drained. */
  async promote(version: string): Promise<void> {
    if (this.#candidate?.version !== version)
      throw new CliError(`${this.name} ${version} does not run beside the current version.`);
    const previous = this.#current;
    this.#current = this.#candidate;
    this.#candidate = undefined;
    this.#onChange();
    await Promise.all(previous.processes.map((process) => process.stop()));
  }

  /** Drains and ends the candidate, if there is one. */
  async withdraw(): Promise<void> {
    const candidate = this.#candidate;
    if (!candidate) return;
    await Promise.all(candidate.processes.map((process) => process.stop()));
    this.#candidate = undefined;
    this.#onChange();
  }

  #assertNoRollout(): void {
    if (this.#candidate)
      throw new CliError(
        `${this.name} is being deployed: version ${this.#candidate.version} runs beside ${this.version}.`,
      );
  }

  /** Starts all, or none: after the first failure all of them end. */
  async #startAll(processes: ServiceProcess[]): Promise<void> {
    const results = await Promise.allSettled(processes.map((process) => process.start()));
    const failed = results.find((result) => result.status === 'rejected');
    if (!failed) return;
    await Promise.all(processes.map((process) => process.stop()));
    throw failed.reason;
  }
}
