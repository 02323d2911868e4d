import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { type LogEntry, parseLogTime } from './log-line.ts';

const bytesPerLine = 600;

export const mergeByTime = (entries: LogEntry[][]): LogEntry[] =>
  entries.flat().sort((a, b) => a.time - b.time);

/** Reads a log file as it grows, and follows its rotation to `<path>.1`. */
export class LogSource {
  readonly #path: string;
  /** Identifies the file that was read last: a rotation renames it. */
  #inode: number | undefined;
  #offset: number;
  #lastTime = 0;

  /** @param lines to read first; all by default */
  constructor(path: string, lines = Infinity) {
    this.#path = path;
    this.#inode = findInode(path);
    this.#offset = Number.isFinite(lines) ? findStart(path, lines) : 0;
  }

  /** The lines since the last call. A line without a time gets the time of the line before it. */
  readNew(): LogEntry[] {
    const inode = findInode(this.#path);
    if (inode === undefined) return [];
    const rotated = `${this.#path}.1`;
    const isRotated = this.#inode !== undefined && this.#inode === findInode(rotated);
    const rest = isRotated ? this.#readFrom(rotated) : [];
    if (inode !== this.#inode) this.#offset = 0;
    this.#inode = inode;
    return [...rest, ...this.#readFrom(this.#path)];
  }

  #readFrom(path: string): LogEntry[] {
    const { bytes, end } = readBytes(path, this.#offset);
    // An incomplete last line is read again later.
    const complete = bytes.lastIndexOf(10) + 1;
    this.#offset = end - (bytes.length - complete);
    const lines = bytes.toString('utf8', 0, complete).split('\n');
    return lines.filter(Boolean).map((line) => {
      this.#lastTime = parseLogTime(line) ?? this.#lastTime;
      return { time: this.#lastTime, line };
    });
  }
}

const findInode = (path: string): number | undefined => statSync(path, { throwIfNoEntry: false })?.ino;

function readBytes(path: string, from: number): { bytes: Buffer; end: number } {
  const fd = openSync(path, 'r');
  try {
    const { size } = fstatSync(fd);
    const start = from > size ? 0 : from;
    const buffer = Buffer.alloc(size - start);
    const length = readSync(fd, buffer, 0, buffer.length, start);
    return { bytes: buffer.subarray(0, length), end: start + length };
  } finally {
    closeSync(fd);
  }
}

/** The offset from which at least `lines` lines are read, without reading the whole file. */
function findStart(path: string, lines: number): number {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  for (let span = Math.max(lines, 1) * bytesPerLine; span < size; span *= 2) {
    const tail = readBytes(path, size - span).bytes;
    const firstEnd = tail.indexOf(10);
    if (firstEnd >= 0 && tail.toString('latin1').split('\n').length > lines + 1)
      return size - span + firstEnd + 1;
  }
  return 0;
}
