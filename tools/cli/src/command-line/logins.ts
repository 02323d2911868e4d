import { Command } from 'commander';
import { withExitCode } from './exit-code.ts';

export const declareLogins = (): Command =>
  new Command('logins')
    .description('update the broker login of each service to the permissions that its build declares')
    .addHelpText(
      'after',
      `
Environment, for services on other machines; <NAME>_FILE names a file with the value:
  RABBITMQ_URL     the broker, instead of the one of the store running here
  BROKER_PASSWORDS {"service":"password"}; only these logins are changed
  SERVICE_KEYS     {"service":"service key"}, from which the public keys are derived
  ENCRYPTION_KEYS  {"service":[JWK]}, the public keys themselves
  RETRY_DELAYS     the retry delays in milliseconds, separated by commas`,
    )
    .action(withExitCode(async () => (await import('../commands/logins.ts')).logins()));
