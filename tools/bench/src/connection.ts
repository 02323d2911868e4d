import { connect, type Socket } from 'node:net';

const endOfHead = Buffer.from('\r\n\r\n');
const lengthField = Buffer.from('content-length: ');

/**
 * Encodes an HTTP request.
 * @param headers additional headers, each as `Name: value`
 */
export function encodeRequest(url: URL, headers: string[] = []): Buffer {
  const lines = [`GET ${url.pathname}${url.search} HTTP/1.1`, `Host: ${url.host}`, ...headers];
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`);
}

/**
 * A connection for one request at a time. It parses as little HTTP as possible, because client and server share the
 * processors, and its cost reduces the measured throughput.
 */
export class Connection {
  /** Shared by all connections, because no part of an answer is kept. */
  static readonly #buffer = Buffer.allocUnsafe(65_536);

  readonly #socket: Socket;
  #answered: ((status: number) => void) | undefined;
  #status = 0;
  /** Bytes of the body that have not arrived yet. */
  #missing = 0;

  constructor({ hostname, port }: URL) {
    const buffer = Connection.#buffer;
    const callback = (length: number) => this.#read(buffer.subarray(0, length));
    this.#socket = connect({
      host: hostname,
      port: Number(port || 80),
      noDelay: true,
      onread: { buffer, callback },
    });
    this.#socket.on('error', () => {});
    this.#socket.on('close', () => this.#end(0));
    this.#socket.setTimeout(10_000, () => this.#answered && this.#socket.destroy());
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed;
  }

  /** @param answered gets the status, or 0 without an answer */
  ask(request: Buffer, answered: (status: number) => void): void {
    this.#answered = answered;
    this.#socket.write(request);
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Expects the head in one piece, because it is far smaller than one read. */
  #read(bytes: Buffer): boolean {
    if (this.#missing > 0) this.#missing -= bytes.length;
    else {
      const body = bytes.indexOf(endOfHead) + 4;
      const length = bytes.indexOf(lengthField) + lengthField.length;
      if (body < 4 || length < lengthField.length) {
        this.#socket.destroy(new Error('an answer without Content-Length'));
        return false;
      }
      this.#status = Number(bytes.toString('latin1', 9, 12));
      this.#missing = body + parseInt(bytes.toString('latin1', length, length + 10), 10) - bytes.length;
    }
    if (this.#missing === 0) this.#end(this.#status);
    return true;
  }

  #end(status: number): void {
    const answered = this.#answered;
    this.#answered = undefined;
    answered?.(status);
  }
}
