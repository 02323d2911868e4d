import { setTimeout as pause } from 'node:timers/promises';
import { type Engine, NotReady, type Release, type ShiftCalls, type VersionState } from '../engine.ts';
import { HandledTraffic } from '../handled-traffic.ts';
import { readMetrics } from '../read-metrics.ts';
import { type ComposeProject, type Container, containerLabels } from './compose-project.ts';
import type { ComposeVersions } from './compose-versions.ts';

export interface DockerEngineOptions {
  environment: string;
  project: ComposeProject;
  versions: ComposeVersions;
  shift: ShiftCalls;
  /** The longest time until a container is healthy. */
  timeoutMs?: number;
  pollMs?: number;
}

/** Lines of a log that explain a failure. */
const logLines = 20;
const readMetricsCommand = [
  'node',
  '-e',
  "fetch('http://127.0.0.1:3000/metrics').then((response) => response.text()).then((text) => process.stdout.write(text))",
];

/**
 * Runs versions in the containers of a Docker Compose project. A new version runs in containers of its own (`docker compose
 * run`) beside those of the current version. They publish no port. When it is promoted, `docker compose up` replaces the
 * containers of the service, and its own ones are removed. Only a service with a published port is away meanwhile.
 */
export class DockerEngine implements Engine {
  readonly environment: string;
  readonly #options: DockerEngineOptions;
  readonly #project: ComposeProject;
  readonly #handled = new HandledTraffic();

  constructor(options: DockerEngineOptions) {
    this.environment = options.environment;
    this.#options = options;
    this.#project = options.project;
  }

  async start(release: Release): Promise<void> {
    const { service, version } = release;
    this.#options.versions.use(release);
    await this.#migrate(service);
    const current = (await this.#project.listContainers(service)).filter(({ isCandidate }) => !isCandidate);
    const count = Math.max(1, current.filter(({ isRunning }) => isRunning).length);
    for (let index = 1; index <= count; index += 1) {
      const label = ['--label', `${containerLabels.candidate}=${version}`];
      const name = ['--name', `${service}-${version}-${index}`];
      await this.#project.compose(
        'run',
        '--detach',
        '--no-deps',
        '--use-aliases',
        ...label,
        ...name,
        service,
      );
    }
    await this.#waitUntilHealthy(service, ({ isCandidate }) => isCandidate);
  }

  shift(release: Release, percent: number): Promise<boolean> {
    return this.#options.shift(release, percent);
  }

  async measure(service: string): Promise<Map<string, VersionState>> {
    const containers = await this.#project.listContainers(service);
    const memory = new Map(
      await Promise.all(containers.map(async (one) => [one, await this.#scrape(one)] as const)),
    );
    const versions = new Map<string, VersionState>();
    for (const [version, all] of Map.groupBy(containers, toVersion))
      versions.set(version, {
        instances: all.length,
        ready: all.filter(({ isHealthy }) => isHealthy).length,
        // A candidate that has ended is not started again.
        restarts: all.reduce((sum, { restarts, isRunning }) => sum + restarts + (isRunning ? 0 : 1), 0),
        memory: Math.max(...all.map((one) => memory.get(one)!)),
        traffic: this.#handled.sum(version),
      });
    return versions;
  }

  /** The candidates handle the calls while Compose replaces the containers of the service. */
  async promote(release: Release): Promise<void> {
    const { service } = release;
    this.#options.versions.use(release);
    await this.#replace(service);
    this.#options.versions.keep(release);
    await this.shift(release, 0);
    await this.#removeCandidates(service);
  }

  async withdraw({ service }: Release): Promise<void> {
    const { versions } = this.#options;
    versions.reset();
    const current = (await this.#project.listContainers(service)).filter(({ isCandidate }) => !isCandidate);
    // After a promotion that failed or was interrupted.
    const isOther = current.some(({ version, isRunning }) => !isRunning || version !== versions.get(service));
    if (isOther) await this.#replace(service);
    await this.#removeCandidates(service);
  }

  async #migrate(service: string): Promise<void> {
    const name = `${service}-migrate`;
    if (!this.#options.versions.services.includes(name)) return;
    const { code, lines } = await this.#project.tryCompose('run', '--rm', '--no-deps', '-T', name);
    if (code !== 0) throw new NotReady(`its migrations did not run (code ${code})`, lines.slice(-logLines));
  }

  /** Lets Compose replace the containers of a service whose version has changed. */
  async #replace(service: string): Promise<void> {
    const containers = await this.#project.listContainers(service);
    const candidates = containers.filter(({ isCandidate }) => isCandidate);
    // As many as beside them. Compose itself may have left containers that it was about to replace.
    const scale = `${service}=${candidates.length || containers.length || 1}`;
    await this.#project.compose('up', '--detach', '--no-deps', '--no-build', '--scale', scale, service);
    await this.#waitUntilHealthy(service, ({ isCandidate }) => !isCandidate);
  }

  async #removeCandidates(service: string): Promise<void> {
    const containers = await this.#project.listContainers(service);
    await this.#project.remove(containers.filter(({ isCandidate }) => isCandidate));
  }

  /** @throws NotReady */
  async #waitUntilHealthy(service: string, isMeant: (container: Container) => boolean): Promise<void> {
    const { timeoutMs = 90_000, pollMs = 500 } = this.#options;
    for (const until = Date.now() + timeoutMs; ; await pause(pollMs)) {
      const containers = (await this.#project.listContainers(service)).filter(isMeant);
      if (containers.length > 0 && containers.every(({ isHealthy }) => isHealthy)) return;
      const ended = containers.find(({ isRunning, restarts }) => !isRunning || restarts > 0);
      const slow = containers.find(({ isHealthy }) => !isHealthy);
      if (ended)
        throw new NotReady(
          `its process ended (code ${ended.exitCode})`,
          await this.#project.readLog(ended.id, logLines),
        );
      if (Date.now() > until)
        throw new NotReady(
          `it was not healthy after ${timeoutMs / 1_000} s`,
          slow ? await this.#project.readLog(slow.id, logLines) : [],
        );
    }
  }

  /** @returns the bytes that its process uses; 0 if it does not answer */
  async #scrape(container: Container): Promise<number> {
    if (!container.isRunning) return 0;
    const text = await this.#project.execute(container.id, ...readMetricsCommand);
    if (!text) return 0;
    const { startedAt, memory, traffic } = readMetrics(text);
    this.#handled.set(toVersion(container), `${container.id} ${startedAt}`, traffic);
    return memory;
  }
}

/** A container that `docker compose up` has started without `jogakbo deploy` has a version without a name. */
const toVersion = ({ version = '' }: Container): string => version;
