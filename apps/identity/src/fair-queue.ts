/** Refused: too many wait, or this one waited too long. */
export class QueueFull extends Error {
  override readonly name = 'QueueFull';
}

interface Waiting {
  cameAt: number;
  run: () => Promise<void>;
  refuse: (error: QueueFull) => void;
}

/**
 * Runs a few tasks at once and lets the others wait, fairly by source: sources take turns, and where all places are taken
 * the newest task of the source that waits with most gives its place to one that waits with fewer. However many tasks one
 * source brings, another gets its turn after at most one task of each source.
 */
export class FairQueue {
  /** By source. The first one is next, and goes to the end then. */
  readonly #waiting = new Map<string, Waiting[]>();
  #running = 0;
  #total = 0;

  /**
   * @param atOnce tasks that run at the same time
   * @param places for those that wait
   * @param timeoutMs how long a task may wait
   */
  constructor(
    private readonly atOnce: number,
    private readonly places: number,
    private readonly timeoutMs: number,
  ) {}

  /** @throws QueueFull without having run the task */
  run<T>(source: string, task: () => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const own = this.#waiting.get(source) ?? [];
      if (this.#running === this.atOnce && this.#total >= this.places && !this.#makePlace(own.length))
        return reject(new QueueFull());
      own.push({ cameAt: performance.now(), run: () => task().then(resolve, reject), refuse: reject });
      this.#waiting.set(source, own);
      this.#total += 1;
      this.#next();
    });
  }

  /** Refuses the newest task of the source with most, if it has more than one place more than the newcomer. */
  #makePlace(held: number): boolean {
    let most: Waiting[] = [];
    for (const one of this.#waiting.values()) if (one.length > most.length) most = one;
    if (most.length <= held + 1) return false;
    most.pop()!.refuse(new QueueFull());
    this.#total -= 1;
    return true;
  }

  #next(): void {
    while (this.#running < this.atOnce) {
      const [first] = this.#waiting;
      if (!first) return;
      const [source, tasks] = first;
      const task = tasks.shift()!;
      this.#total -= 1;
      this.#waiting.delete(source);
      if (tasks.length > 0) this.#waiting.set(source, tasks);
      if (performance.now() - task.cameAt > this.timeoutMs) {
        task.refuse(new QueueFull());
        continue;
      }
      this.#running += 1;
      void task.run().finally(() => {
        this.#running -= 1;
        this.#next();
      });
    }
  }
}
