import { appendFileSync, closeSync, fstatSync, openSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Readable } from 'node:stream';

const keptLines = 40;

/**
 * Writes the output of a process to a log file and keeps one rotated file (`.1`). Two processes may write to the same file,
 * as `serve` and the supervisor do: a rotation by the other one is followed.
 */
export class LogFile {
  readonly path: string;
  readonly name: string;
  readonly lastLines: string[] = [];
  readonly #maxBytes: number;
  #fd: number;

  constructor(folder: string, name: string, maxBytes = 20 * 1024 * 1024) {
    this.#maxBytes = maxBytes;
    this.name = name;
    this.path = join(folder, `${name}.log`);
    this.#fd = openSync(this.path, 'a', 0o600);
  }

  write(lines: string[]): void {
    if (lines.length === 0) return;
    this.lastLines.push(...lines.slice(-keptLines));
    this.lastLines.splice(0, this.lastLines.length - keptLines);
    const text = `${lines.join('\n')}\n`;
    const { ino, size } = fstatSync(this.#fd);
    if (statSync(this.path, { throwIfNoEntry: false })?.ino !== ino) this.#open();
    else if (size + text.length > this.#maxBytes) this.#rotate();
    appendFileSync(this.#fd, text);
  }

  writeMessage(msg: string, level = 30): void {
    this.write([JSON.stringify({ level, time: Date.now(), service: this.name, msg })]);
  }

  /** Appends each line of a stream. Wraps lines that are not JSON, to add a time. */
  follow(stream: Readable, level: number, onLine?: (line: string) => void): void {
    let rest = '';
    stream.setEncoding('utf8');
    const take = (lines: string[]) => {
      const full = lines.filter((line) => line.trim());
      full.forEach((line) => onLine?.(line));
      this.write(
        full.map((line) =>
          line.startsWith('{')
            ? line
            : JSON.stringify({ level, time: Date.now(), service: this.name, msg: line }),
        ),
      );
    };
    stream.on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop()!;
      take(lines);
    });
    stream.on('end', () => take([rest]));
    stream.on('error', () => undefined);
  }

  #rotate(): void {
    renameSync(this.path, `${this.path}.1`);
    this.#open();
  }

  #open(): void {
    closeSync(this.#fd);
    this.#fd = openSync(this.path, 'a', 0o600);
  }
}

/** The log of a process of several services: each line goes to the log of the service that wrote it. */
export class DemultiplexedLog extends LogFile {
  readonly #logs: ReadonlyMap<string, LogFile>;

  /** @param logs by the name of their service */
  constructor(folder: string, name: string, logs: ReadonlyMap<string, LogFile>) {
    super(folder, name);
    this.#logs = logs;
  }

  override write(lines: string[]): void {
    const own = lines.filter((line) => {
      const log = this.#logs.get(/"service":"([^"]+)"/.exec(line)?.[1] ?? '');
      log?.write([line]);
      return !log;
    });
    super.write(own);
  }
}
