/** A sleep that can be ended early. Its timer does not keep the process alive. */
export class WakeableSleep {
  #end = () => {};

  /** Resolves after the time, or at the next `wake`. */
  sleep(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      timer.unref();
      this.#end = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Ends the current sleep. A later sleep is not shortened. */
  wake(): void {
    this.#end();
  }
}
