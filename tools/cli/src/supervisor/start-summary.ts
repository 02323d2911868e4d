import { join } from 'node:path';
import { readMemory } from './processes.ts';
import { administratorLogin } from '../backing/backing-service.ts';
import { type Staff } from './staff.ts';
import { findTlsExpiry } from '../backing/tls/store-tls.ts';
import { type Supervisor } from './supervisor.ts';
import { formatMegabytes, formatTable } from '../terminal/text-table.ts';

/** The summary printed after a start. Its last line has the URL of the store. */
export function formatSummary(
  supervisor: Supervisor,
  { staff, withGateway }: { staff: Staff[]; withGateway: boolean },
): string[] {
  const { run, stateFolder: state } = supervisor;
  const services = run.services.map(({ name, url, process }, index) => [
    name,
    name === 'gateway' ? run.publicUrl : (url ?? ''),
    String(process?.pid ?? ''),
    // The process of dense mode is counted once.
    process && process.pid !== run.services[index - 1]?.process?.pid
      ? formatMegabytes(readMemory(process.pid))
      : '',
  ]);
  const registry = run.services.find(({ name }) => name === 'registry');
  const secrets = join(state.folder, 'secrets.json');
  const certificates = run.broker?.tls ?? run.database?.tls;
  const ends = certificates && findTlsExpiry(certificates)?.toISOString().slice(0, 10);
  const addresses = [
    ...(withGateway ? [['docs', `${run.publicUrl}/docs  (the API reference, with all routes)`]] : []),
    ...(registry?.url
      ? [['eureka', `${registry.url}/eureka  (to register: npx jogakbo registration add <name> …)`]]
      : []),
    ...(run.broker ? [['broker', `${run.broker.url}  (${run.broker.title})`]] : []),
    ...(run.broker?.managementUrl
      ? [['', `${run.broker.managementUrl}  (user ${administratorLogin}, password in ${secrets})`]]
      : []),
    ...(run.database ? [['database', `${run.database.url}  (${run.database.title})`]] : []),
    ...(ends
      ? [['tls', `${certificates}  (certificates, good until ${ends}; a start renews them before that)`]]
      : []),
    ['logs', state.logs],
  ];
  const welcome = staff.length
    ? [
        '',
        `Accounts of this store, shown once (kept in ${join(state.folder, 'staff.json')}):`,
        ...formatTable(
          staff.map(({ email, password, roles }) => [email, password, roles.at(-1)!]),
          '  ',
        ),
      ]
    : [];
  const [first] = run.services;
  return [
    '',
    ...formatTable([['service', 'url', 'pid', 'memory'], ...services]),
    '',
    ...formatTable(addresses),
    ...welcome,
    '',
    `started in ${((Date.now() - run.since) / 1000).toFixed(1)} s`,
    withGateway
      ? `ready: ${run.publicUrl}`
      : `ready: ${first ? `${first.name} ${first.url}` : 'nothing to run'}`,
  ];
}
