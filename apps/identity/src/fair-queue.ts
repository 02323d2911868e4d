/** The queue is full, or the task waited too long. */
export class QueueFull extends Error {
  override readonly name = 'QueueFull';
}

interface QueuedTask {
  enqueuedAt: number;
  run: () => Promise<void>;
  reject: (error: QueueFull) => void;
}

/**
 * Runs a few tasks concurrently and queues the others, round-robin by source. If the queue is full, a source with fewer
 * tasks takes the place of the newest task of the largest source. A source waits for at most one task of each other source.
 */
export class FairQueue {
  /** Tasks by source. The first source is next, then moves to the end. */
  readonly #waiting = new Map<string, QueuedTask[]>();
  #running = 0;
  #total = 0;

  /**
   * @param concurrency tasks that run at the same time
   * @param capacity tasks that may wait
   * @param timeoutMs maximum wait of a task
   */
  constructor(
    private readonly concurrency: number,
    private readonly capacity: number,
    private readonly timeoutMs: number,
  ) {}

  /** @throws QueueFull if the task was not run */
  run<T>(source: string, task: () => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const own = this.#waiting.get(source) ?? [];
      if (this.#running === this.concurrency && this.#total >= this.capacity && !this.#makePlace(own.length))
        return reject(new QueueFull());
      own.push({ enqueuedAt: performance.now(), run: () => task().then(resolve, reject), reject });
      this.#waiting.set(source, own);
      this.#total += 1;
      this.#next();
    });
  }

  /** Rejects the newest task of the largest source, if that source has at least two places more than the new one. */
  #makePlace(held: number): boolean {
    let largest: QueuedTask[] = [];
    for (const one of this.#waiting.values()) if (one.length > largest.length) largest = one;
    if (largest.length <= held + 1) return false;
    largest.pop()!.reject(new QueueFull());
    this.#total -= 1;
    return true;
  }

  #next(): void {
    while (this.#running < this.concurrency) {
      const [first] = this.#waiting;
      if (!first) return;
      const [source, tasks] = first;
      const task = tasks.shift()!;
      this.#total -= 1;
      this.#waiting.delete(source);
      if (tasks.length > 0) this.#waiting.set(source, tasks);
      if (performance.now() - task.enqueuedAt > this.timeoutMs) {
        task.reject(new QueueFull());
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
