import { Command } from 'commander';
import type { RegistrationOptions } from '../commands/registration.ts';
import { withExitCode } from './exit-code.ts';

const load = () => import('../commands/registration.ts');
const nameText = 'the name under which the outside service registers';

export function declareRegistration(): Command {
  const registration = new Command('registration').description(
    'let an outside service register through Eureka, with its own routes and networks',
  );
  registration
    .command('list')
    .description('list the outside services with their routes and networks')
    .option('--json', 'print JSON')
    .action(withExitCode(async (options: { json?: boolean }) => (await load()).listRegistrations(options)));
  registration
    .command('add')
    .description('add or change an outside service; prints its new secret once')
    .argument('<name>', nameText)
    .option('--routes <routes>', 'METHOD /path/{parameter}, separated by commas: the routes it may register')
    .option(
      '--networks <networks>',
      'the networks of its addresses, separated by commas; loopback must be listed: 127.0.0.0/8',
    )
    .action(
      withExitCode(async (app: string, options: RegistrationOptions) =>
        (await load()).addRegistration(app, options),
      ),
    );
  registration
    .command('remove')
    .description('remove an outside service with its instances and routes')
    .argument('<name>', nameText)
    .action(withExitCode(async (app: string) => (await load()).removeRegistration(app)));
  return registration;
}
