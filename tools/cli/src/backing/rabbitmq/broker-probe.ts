import { connect as connectPlain, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { toConnectOptions } from '@jogakbo/messaging/address';
import { toMessage } from '../../terminal/cli-error.ts';

const shortText = (text: string) =>
  Buffer.concat([Buffer.from([Buffer.byteLength(text)]), Buffer.from(text)]);
const longText = (text: Buffer) => Buffer.concat([uint32(text.length), text]);

function uint32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(value);
  return buffer;
}

function method(id: number, payload: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from([0, 10, 0, id]), payload]);
  return Buffer.concat([Buffer.from([1, 0, 0]), uint32(body.length), body, Buffer.from([0xce])]);
}

// Makes the broker return the reason of a refused login instead of closing the connection.
const capability = Buffer.concat([shortText('authentication_failure_close'), Buffer.from('t\x01')]);
const properties = longText(
  Buffer.concat([shortText('capabilities'), Buffer.from('F'), longText(capability)]),
);

function startOk(mechanism: string, response: string): Buffer {
  return method(
    11,
    Buffer.concat([properties, shortText(mechanism), longText(Buffer.from(response)), shortText('en_US')]),
  );
}

/** Tries an AMQP 0-9-1 login up to an open vhost. Resolves to undefined on success, else to the error. */
export function probeBroker(address: string, timeoutMs = 3_000): Promise<string | undefined> {
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    return Promise.resolve('it is not a URL');
  }
  if (!['amqp:', 'amqps:'].includes(url.protocol)) {
    return Promise.resolve(`it starts with ${url.protocol}//, not amqp:// or amqps://`);
  }
  const secure = url.protocol === 'amqps:';
  const host = url.hostname.replace(/^\[|\]$/g, '') || 'localhost';
  const port = Number(url.port) || (secure ? 5671 : 5672);
  const vhost = url.pathname.length > 1 ? decodeURIComponent(url.pathname.slice(1)) : '/';
  const user = decodeURIComponent(url.username || 'guest');
  const password = decodeURIComponent(url.password || 'guest');
  let options: ReturnType<typeof toConnectOptions>;
  try {
    options = toConnectOptions(address);
  } catch (error) {
    return Promise.resolve(toMessage(error));
  }
  const login = options.credentials ? startOk('EXTERNAL', '') : startOk('PLAIN', `\0${user}\0${password}`);

  return new Promise((resolve) => {
    const socket: Socket = secure
      ? connectTls({ host, port, ...(isIP(host) ? {} : { servername: host }), ...options })
      : connectPlain({ host, port });
    let received = Buffer.alloc(0);
    const finish = (fault?: string) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(fault);
    };
    const timer = setTimeout(() => finish(`${host}:${port} does not answer`), timeoutMs);
    socket.once(secure ? 'secureConnect' : 'connect', () =>
      socket.write(Buffer.from('AMQP\0\0\x09\x01', 'latin1')),
    );
    socket.on('error', (error) => finish(toMessage(error)));
    socket.on('close', () => finish(`${host}:${port} closed the connection`));
    socket.on('data', (data) => {
      received = Buffer.concat([received, data]);
      if (received.length && received[0] !== 1) return finish(`${host}:${port} does not support AMQP 0-9-1`);
      while (received.length >= 8) {
        const size = received.readUInt32BE(3);
        if (received.length < size + 8) return;
        const body = received.subarray(7, 7 + size);
        received = received.subarray(size + 8);
        const id = body.readUInt16BE(2);
        if (id === 10) socket.write(login);
        else if (id === 30) {
          socket.write(method(31, body.subarray(4, 12)));
          socket.write(method(40, Buffer.concat([shortText(vhost), Buffer.from([0, 0])])));
        } else if (id === 41) {
          socket.write(method(50, Buffer.concat([Buffer.from([0, 200]), shortText('bye'), Buffer.alloc(4)])));
        } else if (id === 51) finish();
        else if (id === 50) finish(body.subarray(7, 7 + body[6]!).toString());
      }
    });
  });
}
