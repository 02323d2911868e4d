import { connect, type Socket } from 'node:net';

const endOfHead = Buffer.from('\r\n\r\n');
const lengthField = Buffer.from('content-length: ');

/**
 * A request as it goes over the wire.
 * @param headers further ones, each as `Name: value`
 */
export function buildTunnelRequest(url: URL, headers: string[] = []): Buffer {
  const lines = [`GET ${url.pathname}${url.search} HTTP/1.1`, `Host: ${url.host}`, ...headers];
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`);
}

/**
 * A connection that asks one question at a time. It reads no more of HTTP than it must: what it costs to ask is missing
 * from what is measured, for both have the same processors.
 */
export class Connection {
  /** All read into the same one: nothing of an answer is kept. */
  static readonly #buffer = Buffer.allocUnsafe(65_536);

  readonly #socket: Socket;
  #answered: ((status: number) => void) | undefined;
  #status = 0;
  /** Bytes of the body that are still to come. */
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

  /** @param answered is given the status, and 0 where there is no answer */
  ask(question: Buffer, answered: (status: number) => void): void {
    this.#answered = answered;
    this.#socket.write(question);
  }

  close(): void {
    this.#socket.destroy();
  }

  /** A head comes in one piece: it is far smaller than what a read takes. */
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
