import type { Engine, Release, VersionState } from '@jogakbo/delivery/src/engine.ts';
import { HandledTraffic } from '@jogakbo/delivery/src/handled-traffic.ts';
import { readMetrics } from '@jogakbo/delivery/src/read-metrics.ts';
import { type OperatorClient } from '../commands/operator-client.ts';
import { shiftCalls } from './traffic-split.ts';
import { type ControlClient } from '../supervisor/control-client.ts';
import { isAlive, readMemory } from '../supervisor/processes.ts';
import { readRun, type ServiceRecord } from '../supervisor/run-record.ts';
import { type StateFolder } from '../supervisor/state.ts';

/** Runs versions in the store of `npm start`, through its control socket. */
export class LocalEngine implements Engine {
  readonly environment = 'the store on this machine';
  readonly #state: StateFolder;
  readonly #control: ControlClient;
  readonly #client: OperatorClient | undefined;
  readonly #getFolder: (release: Release) => string;
  readonly #handled = new HandledTraffic();

  /**
   * @param client changes the traffic split; undefined if the store has no gateway or config server
   * @param getFolder the folder with the artefact of a version
   */
  constructor(
    state: StateFolder,
    control: ControlClient,
    client: OperatorClient | undefined,
    getFolder: (release: Release) => string,
  ) {
    this.#state = state;
    this.#control = control;
    this.#client = client;
    this.#getFolder = getFolder;
  }

  async start(release: Release): Promise<void> {
    await this.#control.reserve(release.service);
    await this.#control.startVersion({ ...release, folder: this.#getFolder(release) });
  }

  async shift(release: Release, percent: number): Promise<boolean> {
    if (!this.#client || this.#sharesPort(release.service)) return false;
    await shiftCalls(this.#client, release, percent);
    return true;
  }

  /** Whether all processes of the service listen on one port, so that the system distributes the connections. */
  #sharesPort(service: string): boolean {
    const urls = this.#listRecords(service).flatMap(({ url }) => url ?? []);
    return new Set(urls).size < urls.length;
  }

  #listRecords(service: string): ServiceRecord[] {
    return readRun(this.#state)?.services.filter(({ name }) => name === service) ?? [];
  }

  async measure(service: string): Promise<Map<string, VersionState>> {
    const records = this.#listRecords(service);
    const urls = records.flatMap(({ url }) => url ?? []);
    // Processes that share a port answer in turn.
    const attempts = this.#sharesPort(service) ? [...urls, ...urls, ...urls] : urls;
    await Promise.all(attempts.map((url) => this.#scrape(url)));
    const versions = new Map<string, VersionState>();
    for (const record of records) {
      const version = record.version ?? '';
      const known = versions.get(version) ?? {
        instances: 0,
        ready: 0,
        restarts: 0,
        memory: 0,
        traffic: this.#handled.sum(version),
      };
      const isReady = record.state === 'ready' && isAlive(record.process);
      versions.set(version, {
        ...known,
        instances: known.instances + 1,
        ready: known.ready + (isReady ? 1 : 0),
        restarts: known.restarts + record.restarts,
        memory: Math.max(known.memory, isReady ? readMemory(record.process!.pid) : 0),
      });
    }
    return versions;
  }

  /** A process that does not answer keeps its last measurement. Whether it is ready, its record says. */
  async #scrape(url: string): Promise<void> {
    const address = `${url.replace('//localhost', '//127.0.0.1')}/metrics`;
    try {
      const response = await fetch(address, {
        headers: { connection: 'close' },
        signal: AbortSignal.timeout(2_000),
      });
      const { version, startedAt, traffic } = readMetrics(await response.text());
      this.#handled.set(version, startedAt, traffic);
    } catch {
      // it is starting or draining
    }
  }

  async promote(release: Release): Promise<void> {
    await this.#control.promote(release.service, release.version);
    await this.shift(release, 0);
  }

  async withdraw({ service }: Release): Promise<void> {
    await this.#control.withdraw(service);
  }
}
