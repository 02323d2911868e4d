import path from 'node:path';
import { accesses, listPolicies } from '@jogakbo/contract';
import { readWorkspaceConfig } from '@jogakbo/contract/workspace';

/** The part of bus.json that this check reads. */
interface Described {
  contracts?: { name: string; offered?: { routes?: string[]; access?: string } }[];
}

/**
 * Checks the access policies of an app: each one belongs to the platform, or is a role that `jogakbo.config.ts` in the
 * current folder declares. No member has any other role, so an operation with a misspelt one could never be used.
 * @param app path of the app, for the error @throws Error with a line per operation
 */
export async function assertDeclaredRoles(app: string, { contracts = [] }: Described): Promise<void> {
  const policies = contracts.flatMap(({ name, offered }) =>
    offered?.access ? [{ name, access: offered.access, routes: offered.routes ?? [] }] : [],
  );
  if (policies.every(({ access }) => (accesses as readonly string[]).includes(access))) return;
  const { roles } = await readWorkspaceConfig(path.resolve());
  const known = listPolicies(roles);
  const problems = policies
    .filter(({ access }) => !known.includes(access))
    .map(
      ({ name, access, routes }) =>
        `${app}: ${name} (${routes.join(', ')}): access "${access}" is neither one of ${accesses.join(', ')} ` +
        `nor a role of jogakbo.config.ts (${roles.join(', ') || 'none'})`,
    );
  if (problems.length > 0) throw new Error(problems.join('\n'));
}
