import { isUtf8 } from 'node:buffer';

/** Writes an Authorization header of HTTP Basic (RFC 7617). @param name without a colon, which ends it */
export const writeBasicCredentials = (name: string, password: string): string =>
  `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`;

/**
 * Reads the credentials of HTTP Basic (RFC 7617). Rejects all but canonical base64 (RFC 4648, section 3.5) of valid UTF-8:
 * otherwise several texts would decode to one password.
 * @returns undefined without valid credentials
 */
export function readBasicCredentials(
  authorization: string | undefined,
): { name: string; password: string } | undefined {
  const encoded = /^Basic +([A-Za-z0-9+/]+={0,2})$/i.exec(authorization ?? '')?.[1];
  if (!encoded) return undefined;
  const bytes = Buffer.from(encoded, 'base64');
  if (bytes.toString('base64') !== encoded || !isUtf8(bytes)) return undefined;
  const [, name, password] = /^([^:]*):(.*)$/s.exec(bytes.toString()) ?? [];
  return name === undefined || password === undefined ? undefined : { name, password };
}
