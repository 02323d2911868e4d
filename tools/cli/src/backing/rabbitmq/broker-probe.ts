import { toConnectOptions } from '@jogakbo/messaging/address';
import { connect } from 'amqplib';
import { toMessage } from '../../terminal/cli-error.ts';

/**
 * Tries an AMQP 0-9-1 login up to an open vhost.
 * @param timeoutMs without a byte from the broker
 * @returns undefined if the login succeeded, else the reason
 */
export async function probeBroker(address: string, timeoutMs = 3_000): Promise<string | undefined> {
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    return 'it is not a URL';
  }
  if (!['amqp:', 'amqps:'].includes(url.protocol)) {
    return `it starts with ${url.protocol}//, not amqp:// or amqps://`;
  }
  try {
    const connection = await connect(address, { ...toConnectOptions(address), timeout: timeoutMs });
    connection.on('error', () => undefined);
    await connection.close().catch(() => undefined);
    return undefined;
  } catch (error) {
    return describeProblem(toMessage(error), url);
  }
}

/** Extracts the broker's own reply from the error of amqplib, or describes an error that names a state of amqplib. */
function describeProblem(message: string, { host, pathname }: URL): string {
  const [, reply] = /with message "(.*)"$/s.exec(message) ?? [];
  if (reply) return reply;
  if (message.startsWith('Expected ConnectionOpenOk')) {
    const vhost = decodeURIComponent(pathname.slice(1)) || '/';
    return `the virtual host ${vhost} does not exist, or this login may not use it`;
  }
  if (message === 'connect ETIMEDOUT') return `${host} does not answer`;
  if (message.startsWith('Socket closed abruptly')) return `${host} closed the connection`;
  if (/frame/i.test(message)) return `${host} does not support AMQP 0-9-1`;
  return message;
}
