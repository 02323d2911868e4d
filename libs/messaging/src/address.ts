import { readFileSync } from 'node:fs';
import { credentials } from 'amqplib';

/**
 * Reads the TLS options of a broker address, for amqplib's `connect` and for `tls.connect`. They are RabbitMQ's URI query
 * parameters: `cacertfile`, `certfile` and `keyfile` are file paths; `auth_mechanism=external` logs in with the
 * certificate. The broker's certificate and host name are always verified, against the authority in `cacertfile` or
 * those of the system.
 * @param address amqp:// or amqps://
 * @throws Error if a file cannot be read
 */
export function toConnectOptions(address: string) {
  const { searchParams } = new URL(address);
  const read = (name: string) => {
    const path = searchParams.get(name);
    return path === null ? undefined : readFileSync(path);
  };
  const [ca, cert, key] = [read('cacertfile'), read('certfile'), read('keyfile')];
  const isCertificateLogin = searchParams.get('auth_mechanism')?.toLowerCase() === 'external';
  return {
    ...(ca && { ca }),
    ...(cert && { cert }),
    ...(key && { key }),
    ...(isCertificateLogin && { credentials: credentials.external() }),
  };
}
