import { addTraffic, type Traffic } from './compare-versions.ts';

/** What the processes of each version have handled. A process that does not answer keeps its last measurement. */
export class HandledTraffic {
  readonly #versions = new Map<string, Map<string, Traffic>>();

  /** @param process distinguishes the processes of a version, also those with the same address one after the other */
  set(version: string, process: string, traffic: Traffic): void {
    const processes = this.#versions.get(version) ?? new Map<string, Traffic>();
    this.#versions.set(version, processes.set(process, traffic));
  }

  /** The sum of all processes of a version since they started. */
  sum(version: string): Traffic {
    return [...(this.#versions.get(version)?.values() ?? [])].reduce<Traffic>(addTraffic, new Map());
  }
}
