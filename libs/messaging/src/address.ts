import { readFileSync } from 'node:fs';
import { credentials } from 'amqplib';

/**
 * What the address of a broker says about TLS, for amqplib's `connect` and for `tls.connect`. In the words of RabbitMQ's
 * URI query parameters: `cacertfile`, `certfile` and `keyfile` name files, `auth_mechanism=external` logs in with the
 * certificate. The broker's certificate is always verified, its host name too: against the authority of `cacertfile`,
 * else against those of the system.
 * @param address amqp:// or amqps://
 * @throws Error where a file cannot be read
 */
export function toConnectOptions(address: string) {
  const { searchParams } = new URL(address);
  const read = (name: string) => {
    const path = searchParams.get(name);
    return path === null ? undefined : readFileSync(path);
  };
  const [ca, cert, key] = [read('cacertfile'), read('certfile'), read('keyfile')];
  const logsInByCertificate = searchParams.get('auth_mechanism')?.toLowerCase() === 'external';
  return {
    ...(ca && { ca }),
    ...(cert && { cert }),
    ...(key && { key }),
    ...(logsInByCertificate && { credentials: credentials.external() }),
  };
}
