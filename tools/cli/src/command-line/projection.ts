import { Command } from 'commander';
import { withExitCode } from './exit-code.ts';

const load = () => import('../commands/projection.ts');

export function declareProjection(): Command {
  const projection = new Command('projection').description(
    'list read models, or rebuild one while its service keeps running',
  );
  projection
    .command('list')
    .description('list the read models and how far they are behind the events')
    .argument('[service]', 'the name of a service (default: all)')
    .action(withExitCode(async (service?: string) => (await load()).listProjections(service)));
  projection
    .command('rebuild')
    .description('build a read model again from the events, and wait until it is in use')
    .argument('<service>', 'the name of a service')
    .argument('<name>', 'the name of a read model of projection list')
    .action(
      withExitCode(async (service: string, name: string) => (await load()).rebuildProjection(service, name)),
    );
  return projection;
}
