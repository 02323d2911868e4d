import { createHash } from 'node:crypto';
import type { ListRegistrations, Registration } from '@jogakbo/contracts-registry';
import type { Reply } from '@jogakbo/contract';
import { UsageError } from '../terminal/cli-error.ts';
import { asOperator } from './operator-client.ts';
import { toPrintable, toPrintableJson } from '../terminal/printable.ts';
import { readRun } from '../supervisor/run-record.ts';
import { openState, generatePassword } from '../supervisor/state.ts';
import { formatTable } from '../terminal/text-table.ts';

export interface RegistrationOptions {
  routes?: string;
  networks?: string;
}

const remedies = ['npx jogakbo registration --help'];
const parseList = (text = ''): string[] => text.split(',').flatMap((one) => one.trim() || []);

export async function listRegistrations({ json }: { json?: boolean }): Promise<number> {
  const { items } = await asOperator(openState(), (client) =>
    client.get<Reply<typeof ListRegistrations>>('/v1/ops/registrations'),
  );
  if (json) console.log(toPrintableJson(items));
  else if (items.length === 0) console.log('There are no registrations.');
  else {
    for (const { app, routes, networks, changedAt } of items) {
      console.log(toPrintable(`${app}  (${changedAt})`));
      const rows = [...routes.map((route) => ['route', route]), ...networks.map((one) => ['network', one])];
      console.log(formatTable(rows, '  ').join('\n'));
    }
  }
  return 0;
}

/** Stores only the hash of the secret. The secret is printed once. */
export async function addRegistration(app: string, options: RegistrationOptions): Promise<number> {
  const networks = parseList(options.networks);
  if (networks.length === 0) {
    throw new UsageError(
      'Specify the networks of its addresses: --networks 10.0.0.0/8 (for this machine: 127.0.0.0/8).',
      {
        remedies,
      },
    );
  }
  const state = openState();
  const secret = generatePassword();
  const secretHash = createHash('sha256').update(secret).digest('hex');
  await asOperator(state, (client) =>
    client.put<Registration>(`/v1/ops/registrations/${encodeURIComponent(app)}`, {
      secretHash,
      networks,
      routes: parseList(options.routes),
    }),
  );
  const { url } = readRun(state)?.services.find(({ name }) => name === 'registry') ?? {};
  const registry = new URL(`${url ?? 'http://localhost:8761'}/eureka/`);
  Object.assign(registry, { username: app, password: secret });
  console.log(`${app} can now register. Its secret is shown only once:\n${registry.href}`);
  return 0;
}

export async function removeRegistration(app: string): Promise<number> {
  await asOperator(openState(), (client) =>
    client.delete(`/v1/ops/registrations/${encodeURIComponent(app)}`),
  );
  console.log(`${app} can no longer register. Its instances and routes were removed.`);
  return 0;
}
