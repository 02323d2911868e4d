import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { root } from '../workspace.ts';
import { declareAffected } from './affected.ts';
import { declareBuild } from './build.ts';
import { declareChanges } from './changes.ts';
import { declareCi } from './ci.ts';
import { declareCompose } from './compose.ts';
import { declareConfig } from './config.ts';
import { declareContracts } from './contracts.ts';
import { declareDead } from './dead.ts';
import { declareDeploy, declareHistory, declareRollback, declareScale } from './deploy.ts';
import { declareDocs } from './docs.ts';
import { declareDoctor } from './doctor.ts';
import { declareEmit } from './emit.ts';
import { declareKubernetes } from './kubernetes.ts';
import { declareLogins } from './logins.ts';
import { declareLogs } from './logs.ts';
import { declareMap } from './map.ts';
import { declareOwners } from './owners.ts';
import { declareProjection } from './projection.ts';
import { declarePs } from './ps.ts';
import { declareRegistration } from './registration.ts';
import { declareRemove } from './remove.ts';
import { declareReplay } from './replay.ts';
import { declareRestart } from './restart.ts';
import { declareSeed } from './seed.ts';
import { declareServe } from './serve.ts';
import { declareSmoke } from './smoke.ts';
import { declareSplit } from './split.ts';
import { declareStart, declareSupervise } from './start.ts';
import { declareStop } from './stop.ts';
import { declareTest } from './test.ts';
import { toUsageError } from './usage-errors.ts';
import { declareWithBackingServices } from './with-backing-services.ts';

const environmentHelp = `
Environment:
  RABBITMQ_URL, DATABASE_URL  use these servers instead of private ones
  RABBITMQ_MANAGEMENT_URL     the management API of that broker (default: its host, port 15672)
  PORT                        the public port instead of 3000
  <SERVICE>_PORT              the port of a service that declares one, such as REGISTRY_PORT instead of 8761
  JOGAKBO_HOME                the state folder instead of .jogakbo
  JOGAKBO_BROKER              docker or local: the only way to run a private broker
  JOGAKBO_TLS=1               TLS for the private broker and database, with certificates as logins
  JOGAKBO_SEED_PASSWORD       the password of the initial accounts
  JOGAKBO_OPERATOR_EMAIL, JOGAKBO_OPERATOR_PASSWORD
                              the operator of another environment, with --url or --environment
  LOCAL_MODE=false            require the settings of a real store instead of simulating external systems
  READY_ROUTES                the routes that the gateway must have before the store counts as ready
  RETRY_DELAYS                the delays between attempts in milliseconds, separated by commas

jogakbo <command> --help describes one command.`;

const readVersion = (folder: string): string =>
  (JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string }).version;

/** The whole command line. Rejects an invalid one with UsageError, and with CommanderError after a help or version text. */
export function createProgram(): Command {
  const program = new Command('jogakbo')
    .description('run the whole store on this machine')
    .version(readVersion(root), '-v, --version')
    .addHelpText('after', environmentHelp)
    // `serve` has its own --version, and with-backing-services passes all options on.
    .enablePositionalOptions();
  for (const declare of [
    declareStart,
    declareStop,
    declareRestart,
    declarePs,
    declareLogs,
    declareSeed,
    declareDead,
    declareEmit,
    declareReplay,
    declareProjection,
    declareConfig,
    declareRegistration,
    declareContracts,
    declareLogins,
    declareDeploy,
    declareRollback,
    declareScale,
    declareHistory,
    declareSplit,
    declareMap,
    declareDocs,
    declareBuild,
    declareAffected,
    declareCompose,
    declareKubernetes,
    declareRemove,
    declareOwners,
    declareChanges,
    declareSmoke,
    declareCi,
    declareDoctor,
    declareTest,
    declareServe,
  ])
    program.addCommand(declare());
  for (const declare of [declareSupervise, declareWithBackingServices])
    program.addCommand(declare(), { hidden: true });
  for (const command of listCommands(program)) {
    command.configureHelp({ commandDescription: (one) => toSentence(one.description()) });
    makeStrict(command);
  }
  return program;
}

const toSentence = (text: string): string => `${text[0]?.toUpperCase()}${text.slice(1)}.`;

/** The command and all its subcommands. */
export const listCommands = (command: Command): Command[] => [
  command,
  ...command.commands.flatMap((one) => listCommands(one as Command)),
];

/** Throws errors instead of printing them, and rejects an option whose value was forgotten. */
function makeStrict(command: Command): void {
  command.configureOutput({ outputError: () => undefined });
  command.exitOverride((error) => {
    throw error.exitCode === 0 || error.code === 'commander.help' ? error : toUsageError(error, command);
  });
  for (const option of command.options.filter(({ required }) => required)) {
    const { parseArg: parse } = option;
    option.argParser((value: string, previous: unknown) => {
      // `--reason --secret` would otherwise store the reason "--secret" and no secret.
      if (/^--?[a-z]/i.test(value)) throw new InvalidArgumentError('Its value is missing.');
      return parse ? parse(value, previous) : value;
    });
  }
}
