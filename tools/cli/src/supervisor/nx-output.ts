import { stripVTControlCharacters } from 'node:util';

export interface NxTask {
  /** project:target */
  id: string;
  cached: boolean;
  failed: boolean;
  output: string[];
}

const header = /^(?:>|✔|✖)\s+nx run ([\w@/.-]+:[\w-]+)(?:\s+\[(.*)\])?\s*$/;
const trailer = /^\s*NX {3}/;

/** Parses the output of `nx --output-style=static`: the output of each finished task under its name. */
export class NxOutput {
  readonly #onTask: (task: NxTask) => void;
  #rest = '';
  #task?: NxTask;
  /** Lines outside of tasks: the summary, or why nx did not start. */
  readonly remarks: string[] = [];

  constructor(onTask: (task: NxTask) => void) {
    this.#onTask = onTask;
  }

  take(chunk: string): void {
    const lines = (this.#rest + chunk).split('\n');
    this.#rest = lines.pop()!;
    for (const line of lines) this.#line(stripVTControlCharacters(line).replace(/\r$/, ''));
  }

  end(): void {
    if (this.#rest) this.#line(stripVTControlCharacters(this.#rest));
    this.#finish();
  }

  #line(line: string): void {
    const match = header.exec(line);
    if (match) {
      this.#finish();
      this.#task = {
        id: match[1]!,
        cached: /cache/.test(match[2] ?? ''),
        failed: line.startsWith('✖'),
        output: [],
      };
      return;
    }
    if (trailer.test(line)) this.#finish();
    if (!this.#task) {
      this.remarks.push(line);
      return;
    }
    if (/^Warning: command .* exited with non-zero status code$/.test(line)) this.#task.failed = true;
    else this.#task.output.push(line);
  }

  #finish(): void {
    if (this.#task) this.#onTask(this.#task);
    this.#task = undefined;
  }
}
