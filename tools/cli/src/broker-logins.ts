import { brokerUser } from './private-broker.ts';
import { type BackingService } from './backing-service.ts';
import { Fault } from './fault.ts';

/**
 * A login at the private broker for each service, for whoever has the certificate of that name. None has a password, and
 * what they may do is not limited yet.
 * @param password of the operator
 */
export async function ensureBrokerLogins(
  { managementUrl }: BackingService,
  password: string,
  names: readonly string[],
): Promise<void> {
  const put = async (path: string, body: unknown) => {
    const response = await fetch(`${managementUrl}/api/${path}`, {
      method: 'PUT',
      headers: {
        authorization: `Basic ${Buffer.from(`${brokerUser}:${password}`).toString('base64')}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(10_000),
    });
    const said = await response.text();
    if (!response.ok)
      throw new Fault(`The broker makes no login: PUT ${path} answers ${response.status} ${said}`);
  };
  for (const name of names) {
    await put(`users/${name}`, { password_hash: '', tags: '' });
    await put(`permissions/%2F/${name}`, { configure: '.*', write: '.*', read: '.*' });
  }
}
