import { readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { inspect, parseArgs, type ParseArgsConfig } from 'node:util';
import { CliError, formatFault, UsageError } from './terminal/cli-error.ts';
import { nearestName } from '@jogakbo/service/nearest-name';
import { packageNotFound } from './supervisor/packages.ts';
import { printableLines } from './terminal/printable.ts';
import { root } from './workspace.ts';

interface Command {
  summary: string;
  usage: string;
  /** How each option reads in the help. */
  options?: Record<string, { type: 'string' | 'boolean'; short?: string; value?: string; help: string }>;
  takesNames?: boolean;
  /** Called by other parts of the workspace, not by people. */
  internal?: boolean;
  /** Gets its arguments as they come. */
  raw?: boolean;
  run(values: Record<string, unknown>, names: string[]): Promise<number>;
}

const startOptions: Command['options'] = {
  detach: {
    type: 'boolean',
    short: 'd',
    help: 'return when the store is ready; it runs on in the background',
  },
  port: { type: 'string', value: 'N', help: 'the public port (default: PORT, else 3000)' },
  only: { type: 'string', value: 'a,b', help: 'start only these services' },
  'no-seed': { type: 'boolean', help: 'do not put the sample products in' },
};

const commands: Record<string, Command> = {
  start: {
    summary: 'build what changed, migrate, seed and run the whole store',
    usage: 'start [--detach] [--port N] [--only a,b] [--no-seed]',
    options: startOptions,
    run: async (values) => (await import('./commands/start.ts')).start(values),
  },
  stop: {
    summary: 'end the store, and wait until it is gone',
    usage: 'stop',
    run: async () => (await import('./commands/stop.ts')).stop(),
  },
  restart: {
    summary: 'end the process of one service, and start another',
    usage: 'restart <service>',
    takesNames: true,
    run: async (_values, names) => (await import('./commands/restart.ts')).restart(names),
  },
  ps: {
    summary: 'show what runs, where, since when, and how much memory it takes',
    usage: 'ps [--json]',
    options: { json: { type: 'boolean', help: 'for programs' } },
    run: async (values) => (await import('./commands/ps.ts')).ps(values),
  },
  logs: {
    summary: 'show what the services wrote, merged by time',
    usage: ['logs [service...] [-f] [-n N] [--json]', 'logs --trace <id>'].join('\n       jogakbo '),
    options: {
      follow: { type: 'boolean', short: 'f', help: 'go on as new lines come' },
      lines: { type: 'string', short: 'n', value: 'N', help: 'how many lines to begin with (default: 100)' },
      trace: {
        type: 'string',
        value: 'id',
        help: 'one request, over all services; the beginning of its id will do',
      },
      json: { type: 'boolean', help: 'the lines as they were written' },
    },
    takesNames: true,
    run: async (values, names) => (await import('./commands/logs.ts')).logs(names, values),
  },
  seed: {
    summary: 'put the 200 sample products in; what is there already stays',
    usage: 'seed',
    run: async () => (await import('./commands/seed.ts')).seed(),
  },
  dead: {
    summary: 'look at messages that services gave up; edit, replay or discard them',
    usage: [
      'dead list [service] [--group G] [--json]',
      'dead show <id> [--json]',
      'dead edit <id> [--data file|-]',
      'dead replay  <id> | --group G | --all [--service S] [--rate N] [--yes]',
      'dead discard <id> | --group G | --all [--service S] [--yes]',
    ].join('\n       jogakbo '),
    options: {
      group: {
        type: 'string',
        value: 'G',
        help: 'the name of a group in dead list, or a message type, or how a cause begins',
      },
      all: { type: 'boolean', help: 'every dead letter' },
      service: { type: 'string', value: 'S', help: 'only those of this service' },
      data: {
        type: 'string',
        value: 'file',
        help: 'the new data instead of $EDITOR; - reads them from stdin',
      },
      rate: { type: 'string', value: 'N', help: 'replay so many messages a second (default: 50)' },
      yes: { type: 'boolean', short: 'y', help: 'do not ask' },
      json: { type: 'boolean', help: 'for programs' },
    },
    takesNames: true,
    run: async (values, names) => (await import('./commands/dead.ts')).dead(values, names),
  },
  replay: {
    summary: 'let a service announce its events of a time again',
    usage: 'replay <service> --from <time> [--to <time>] [--rate N] [--yes]',
    options: {
      from: { type: 'string', value: 'time', help: 'ISO 8601, as in 2026-11-21T09:00:00Z' },
      to: { type: 'string', value: 'time', help: 'up to here (default: now)' },
      rate: { type: 'string', value: 'N', help: 'so many events a second (default: 500)' },
      yes: { type: 'boolean', short: 'y', help: 'do not ask' },
    },
    takesNames: true,
    run: async (values, names) => (await import('./commands/replay.ts')).replay(values, names),
  },
  projection: {
    summary: 'list read models, or have one built again while its service goes on',
    usage: ['projection list [service]', 'projection rebuild <service> <name>'].join('\n       jogakbo '),
    takesNames: true,
    run: async (_values, names) => (await import('./commands/projection.ts')).projection(names),
  },
  config: {
    summary: 'read and change the settings of services; who set what, and where a value in force came from',
    usage: [
      'config get [service] [key] [--json]',
      'config set <service> <key=value...> [--unset a,b] --reason R',
      'config set <service> <key> --secret --reason R      (reads the value from stdin)',
      'config delete <service> <key...> --reason R',
      'config history <service> [--from N --to N] [--json]',
      'config rollback <service> --to N --reason R',
      'config explain <service> [key] [--json]',
    ].join('\n       jogakbo '),
    options: {
      profile: { type: 'string', value: 'P', help: 'the settings of this profile (default: default)' },
      label: { type: 'string', value: 'L', help: 'under this label (default: main)' },
      reason: { type: 'string', short: 'm', value: 'R', help: 'why; kept with the change' },
      secret: { type: 'boolean', help: 'encrypt the value and show it to nobody but the service' },
      unset: { type: 'string', value: 'a,b', help: 'take these settings away' },
      from: { type: 'string', value: 'N', help: 'compare this version' },
      to: { type: 'string', value: 'N', help: 'with this one; or the version to go back to' },
      json: { type: 'boolean', help: 'for programs' },
    },
    takesNames: true,
    run: async (values, names) => (await import('./commands/config.ts')).config(values, names),
  },
  registration: {
    summary: 'let an app that is not on the bus register, with routes and networks of its own',
    usage: [
      'registration list [--json]',
      'registration add <app> --routes "GET /v1/hello,…" --networks 10.0.0.0/8,…   (or change it: a new secret)',
      'registration remove <app>',
    ].join('\n       jogakbo '),
    options: {
      routes: { type: 'string', value: 'a,b', help: 'METHOD /path/{parameter}: what it may take' },
      networks: {
        type: 'string',
        value: 'a,b',
        help: 'where its addresses must lie; loopback only where it is named: 127.0.0.0/8',
      },
      json: { type: 'boolean', help: 'for programs' },
    },
    takesNames: true,
    run: async (values, names) => (await import('./commands/registration.ts')).registration(values, names),
  },
  logins: {
    summary: 'give each service its login at the broker again, with what its build says that it does there',
    usage: 'logins',
    run: async () => (await import('./commands/logins.ts')).logins(),
  },
  split: {
    summary: 'have a share of the calls of a service taken by some of its versions',
    usage: [
      'split [service] [--json]                            (what is in force)',
      'split <service> <version=percent...> [--reason R]   (the rest goes to all other versions)',
      'split <service> --end [--reason R]',
    ].join('\n       jogakbo '),
    options: {
      end: { type: 'boolean', help: 'share the calls among all versions again' },
      reason: { type: 'string', short: 'm', value: 'R', help: 'why; kept with the change' },
      json: { type: 'boolean', help: 'for programs' },
    },
    takesNames: true,
    run: async (values, names) => (await import('./commands/split.ts')).split(values, names),
  },
  doctor: {
    summary: 'check this machine, and name the fix for each fault',
    usage: 'doctor [--port N]',
    options: {
      port: { type: 'string', value: 'N', help: 'the public port to check (default: PORT, else 3000)' },
    },
    run: async (values) => (await import('./commands/doctor.ts')).doctor(values),
  },
  test: {
    summary: 'check types, lint, and run every test of all projects or of those named',
    usage: 'test [project...]',
    takesNames: true,
    run: async (_values, names) => (await import('./commands/test.ts')).test(names),
  },
  serve: {
    summary: 'run one service from source, and again after each change',
    usage: 'serve <service> [--version V]',
    options: {
      version: {
        type: 'string',
        value: 'V',
        help: 'run it as this version beside the one of the running store',
      },
    },
    takesNames: true,
    run: async (values, names) => (await import('./commands/serve.ts')).serve(values, names),
  },
  'with-backing-services': {
    summary: 'run a command with a throw-away RabbitMQ and PostgreSQL',
    usage: 'with-backing-services -- <command...>',
    internal: true,
    raw: true,
    run: async (_values, args) =>
      (await import('./commands/with-backing-services.ts')).withBackingServices(args),
  },
  supervise: {
    summary: 'what start --detach leaves in the background',
    usage: 'supervise',
    options: startOptions,
    internal: true,
    run: async (values) => (await import('./commands/start.ts')).supervise(values),
  },
};

function overview(): string {
  const shown = Object.entries(commands).filter(([, { internal }]) => !internal);
  return [
    'jogakbo: runs the whole store on this machine.',
    '',
    'usage: jogakbo <command> [options]',
    '',
    ...shown.map(([name, { summary }]) => `  ${name.padEnd(12)}${summary}`),
    '',
    'environment:',
    '  RABBITMQ_URL, DATABASE_URL   use these servers instead of private ones',
    '  RABBITMQ_MANAGEMENT_URL      the management API of that broker (default: its host, port 15672)',
    '  PORT                         the public port instead of 3000',
    '  JOGAKBO_HOME                 keep the state here instead of in .jogakbo',
    '  JOGAKBO_BROKER               docker or local: insist on one way to a private broker',
    '  JOGAKBO_TLS=1                TLS to the private broker and database, certificates as logins',
    '  JOGAKBO_SEED_PASSWORD        the password of the sample merchant and operator',
    '',
    'jogakbo <command> --help says more about one of them.',
  ].join('\n');
}

function formatHelp({ summary, usage, options = {} }: Command): string {
  const rows = Object.entries(options).map(([name, { short, value, help }]) => [
    `  ${short ? `-${short}, ` : '    '}--${name}${value ? ` ${value}` : ''}`,
    help,
  ]);
  const width = Math.max(0, ...rows.map(([left]) => left!.length)) + 2;
  return [
    `usage: jogakbo ${usage}`,
    '',
    `${summary[0]!.toUpperCase()}${summary.slice(1)}.`,
    ...(rows.length ? ['', ...rows.map(([left, help]) => left!.padEnd(width) + help)] : []),
  ].join('\n');
}

const getVersion = (folder: string): string =>
  (JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string }).version;

async function main([name, ...args]: string[]): Promise<number> {
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    console.log(overview());
    return name === undefined ? 2 : 0;
  }
  if (name === '--version' || name === '-v') {
    console.log(getVersion(root));
    return 0;
  }
  const command = Object.hasOwn(commands, name) ? commands[name]! : undefined;
  if (!command) {
    const shown = Object.keys(commands).filter((one) => !commands[one]!.internal);
    const meant = nearestName(name, shown);
    throw new UsageError(`There is no command "${name}".`, {
      remedies: [...(meant ? [`did you mean ${meant}?`] : []), 'npx jogakbo --help lists them'],
    });
  }
  if (command.raw) return command.run({}, args);
  const options: ParseArgsConfig['options'] = { help: { type: 'boolean', short: 'h' } };
  for (const [option, { type, short }] of Object.entries(command.options ?? {})) {
    options[option] = short ? { type, short } : { type };
  }
  const remedies = [`npx jogakbo ${name} --help`];
  let parsed: { values: Record<string, unknown>; positionals: string[] };
  try {
    parsed = parseArgs({ args, options, allowPositionals: true, strict: true });
  } catch (error) {
    throw new UsageError((error as Error).message.split('. ')[0]!, { remedies });
  }
  if (parsed.values.help) {
    console.log(formatHelp(command));
    return 0;
  }
  if (parsed.positionals.length && !command.takesNames) {
    throw new UsageError(`"${name}" takes no "${parsed.positionals[0]}".`, { remedies });
  }
  return command.run(parsed.values, parsed.positionals);
}

// Whatever this starts finds the workspace's own Node and tools first, as in an npm script.
process.env.PATH = `${join(root, 'node_modules', '.bin')}${delimiter}${process.env.PATH ?? ''}`;

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const missing = packageNotFound(error);
  const fault = missing
    ? new CliError(`The package ${missing} is not installed.`, {
        remedies: ['install what package-lock.json says:  npm ci'],
      })
    : error;
  console.error(fault instanceof CliError ? formatFault(fault) : printableLines(inspect(fault)));
  process.exitCode = fault instanceof UsageError ? 2 : 1;
}
