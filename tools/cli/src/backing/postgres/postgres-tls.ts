import { chownSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { authorityFile, certificateFile, keyFile } from '../tls/certificate-files.ts';
import { type PostgresUser } from './postgres-binaries.ts';
import { getDatabaseName } from './service-databases.ts';
import { administratorLogin } from '../backing-service.ts';
import { databaseServer } from '../tls/store-tls.ts';
import { listApps } from '../../workspace.ts';

const getTlsFiles = (data: string) => ({
  authority: join(data, 'root.crt'),
  certificate: join(data, 'server.crt'),
  key: join(data, 'server.key'),
  access: join(data, 'tls-hba.conf'),
  names: join(data, 'tls-ident.conf'),
});

export function buildTlsSettings(data: string): Record<string, string> {
  const { authority, certificate, key, access, names } = getTlsFiles(data);
  return {
    ssl: 'on',
    ssl_min_protocol_version: 'TLSv1.2',
    ssl_ca_file: authority,
    ssl_cert_file: certificate,
    ssl_key_file: key,
    hba_file: access,
    ident_file: names,
  };
}

/**
 * Writes the TLS files to the data folder, readable only by the PostgreSQL user. Clients can log in only with a
 * certificate of the store's authority, and only as the login in its common name.
 */
export function writeTlsFiles(tls: string, data: string, user?: PostgresUser): void {
  const files = getTlsFiles(data);
  const logins = listApps().map(({ name }) => [name, getDatabaseName(name, 'process')]);
  const texts = {
    [files.authority]: readFileSync(authorityFile(tls)),
    [files.certificate]: readFileSync(certificateFile(tls, databaseServer)),
    [files.key]: readFileSync(keyFile(tls, databaseServer)),
    [files.access]: 'hostssl all all 127.0.0.1/32 cert clientcert=verify-full map=store\n',
    [files.names]: [[administratorLogin, administratorLogin], ...logins]
      .map(([name, login]) => `store "${name}" "${login}"\n`)
      .join(''),
  };
  for (const [path, text] of Object.entries(texts)) {
    const draft = `${path}.${process.pid}.tmp`;
    writeFileSync(draft, text, { mode: 0o600 });
    if (user) chownSync(draft, user.uid, user.gid);
    renameSync(draft, path);
  }
}
