import { appendFileSync, closeSync, fstatSync, openSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { type Readable } from 'node:stream';

const longest = 20 * 1024 * 1024;
const remembered = 40;

/** Keeps what a process says, a line at a time, in one file and one older one. */
export class LogFile {
  readonly path: string;
  readonly name: string;
  readonly lastLines: string[] = [];
  #fd: number;
  #size: number;

  constructor(folder: string, name: string) {
    this.name = name;
    this.path = join(folder, `${name}.log`);
    this.#fd = openSync(this.path, 'a', 0o600);
    this.#size = fstatSync(this.#fd).size;
  }

  write(lines: string[]): void {
    if (lines.length === 0) return;
    this.lastLines.push(...lines.slice(-remembered));
    this.lastLines.splice(0, this.lastLines.length - remembered);
    const text = `${lines.join('\n')}\n`;
    if (this.#size + text.length > longest) this.#rotate();
    appendFileSync(this.#fd, text);
    this.#size += Buffer.byteLength(text);
  }

  say(msg: string, level = 30): void {
    this.write([JSON.stringify({ level, time: Date.now(), service: this.name, msg })]);
  }

  /** Lines that are JSON are kept as they are; others are wrapped, so that they too have a time. */
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
    closeSync(this.#fd);
    renameSync(this.path, `${this.path}.1`);
    this.#fd = openSync(this.path, 'a', 0o600);
    this.#size = 0;
  }
}
