import { readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { inspect, parseArgs, type ParseArgsConfig } from 'node:util';
import { CliError, formatCliError, UsageError } from './terminal/cli-error.ts';
import { nearestName } from '@jogakbo/service/nearest-name';
import { parseMissingPackage } from './supervisor/packages.ts';
import { toPrintableLines } from './terminal/printable.ts';
import { root } from './workspace.ts';

interface Command {
  summary: string;
  usage: string;
  /** `value` and `help` are shown in the help. */
  options?: Record<string, { type: 'string' | 'boolean'; short?: string; value?: string; help: string }>;
  takesNames?: boolean;
  /** Hidden from the help: for other parts of the workspace. */
  internal?: boolean;
  /** Receives its arguments unparsed. */
  raw?: boolean;
  run(values: Record<string, unknown>, names: string[]): Promise<number>;
}

const startOptions: Command['options'] = {
  detach: {
    type: 'boolean',
    short: 'd',
    help: 'return when the store is ready; it keeps running in the background',
  },
  port: { type: 'string', value: 'N', help: 'the public port (default: PORT, else 3000)' },
  only: { type: 'string', value: 'a,b', help: 'start only these services' },
  'no-seed': { type: 'boolean', help: 'do not add the sample products' },
};

const commands: Record<string, Command> = {
  start: {
    summary: 'build changed services, migrate, seed and run the whole store',
    usage: 'start [--detach] [--port N] [--only a,b] [--no-seed]',
    options: startOptions,
    run: async (values) => (await import('./commands/start.ts')).start(values),
  },
  stop: {
    summary: 'stop the store and wait until all its processes have ended',
    usage: 'stop',
    run: async () => (await import('./commands/stop.ts')).stop(),
  },
  restart: {
    summary: 'restart the process of one service',
    usage: 'restart <service>',
    takesNames: true,
    run: async (_values, names) => (await import('./commands/restart.ts')).restart(names),
  },
  ps: {
    summary: 'show all processes with their address, uptime and memory',
    usage: 'ps [--json]',
    options: { json: { type: 'boolean', help: 'print JSON' } },
    run: async (values) => (await import('./commands/ps.ts')).ps(values),
  },
  logs: {
    summary: 'show the logs of the services, merged by time',
    usage: ['logs [service...] [-f] [-n N] [--json]', 'logs --trace <id>'].join('\n       jogakbo '),
    options: {
      follow: { type: 'boolean', short: 'f', help: 'keep printing new lines' },
      lines: { type: 'string', short: 'n', value: 'N', help: 'the number of initial lines (default: 100)' },
      trace: {
        type: 'string',
        value: 'id',
        help: 'one request across all services, by trace id or a prefix of it',
      },
      json: { type: 'boolean', help: 'print the lines as JSON, unformatted' },
    },
    takesNames: true,
    run: async (values, names) => (await import('./commands/logs.ts')).logs(names, values),
  },
  seed: {
    summary: 'add the 200 sample products; existing ones stay unchanged',
    usage: 'seed',
    run: async () => (await import('./commands/seed.ts')).seed(),
  },
  dead: {
    summary: 'list, show, edit, replay or discard dead letters (messages that failed)',
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
        help: 'a group of dead list, a message type, or the beginning of a cause',
      },
      all: { type: 'boolean', help: 'every dead letter' },
      service: { type: 'string', value: 'S', help: 'only dead letters of this service' },
      data: {
        type: 'string',
        value: 'file',
        help: 'the new data, instead of $EDITOR; - reads stdin',
      },
      rate: { type: 'string', value: 'N', help: 'messages per second for replay (default: 50)' },
      yes: { type: 'boolean', short: 'y', help: 'skip the confirmation' },
      json: { type: 'boolean', help: 'print JSON' },
    },
    takesNames: true,
    run: async (values, names) => (await import('./commands/dead.ts')).dead(values, names),
  },
  replay: {
    summary: 'publish the events of a service in a time range again',
    usage: 'replay <service> --from <time> [--to <time>] [--rate N] [--yes]',
    options: {
      from: { type: 'string', value: 'time', help: 'start, in ISO 8601, such as 2026-11-21T09:00:00Z' },
      to: { type: 'string', value: 'time', help: 'end, exclusive (default: now)' },
      rate: { type: 'string', value: 'N', help: 'events per second (default: 500)' },
      yes: { type: 'boolean', short: 'y', help: 'skip the confirmation' },
    },
    takesNames: true,
    run: async (values, names) => (await import('./commands/replay.ts')).replay(values, names),
  },
  projection: {
    summary: 'list read models, or rebuild one while its service keeps running',
    usage: ['projection list [service]', 'projection rebuild <service> <name>'].join('\n       jogakbo '),
    takesNames: true,
    run: async (_values, names) => (await import('./commands/projection.ts')).projection(names),
  },
  config: {
    summary: 'read and change service settings, with their history and the origin of each value',
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
      profile: { type: 'string', value: 'P', help: 'the profile of the settings (default: default)' },
      label: { type: 'string', value: 'L', help: 'the label of the settings (default: main)' },
      reason: { type: 'string', short: 'm', value: 'R', help: 'the reason; stored with the change' },
      secret: { type: 'boolean', help: 'encrypt the value; only the service can read it' },
      unset: { type: 'string', value: 'a,b', help: 'remove these settings' },
      from: { type: 'string', value: 'N', help: 'the first version to compare' },
      to: { type: 'string', value: 'N', help: 'the second version, or the version to roll back to' },
      json: { type: 'boolean', help: 'print JSON' },
    },
    takesNames: true,
    run: async (values, names) => (await import('./commands/config.ts')).config(values, names),
  },
  registration: {
    summary: 'let an app outside the message bus register, with its own routes and networks',
    usage: [
      'registration list [--json]',
      'registration add <app> --routes "GET /v1/hello,…" --networks 10.0.0.0/8,…   (also changes an app: creates a new secret)',
      'registration remove <app>',
    ].join('\n       jogakbo '),
    options: {
      routes: { type: 'string', value: 'a,b', help: 'METHOD /path/{parameter}: the routes it may register' },
      networks: {
        type: 'string',
        value: 'a,b',
        help: 'the networks of its addresses; loopback must be listed: 127.0.0.0/8',
      },
      json: { type: 'boolean', help: 'print JSON' },
    },
    takesNames: true,
    run: async (values, names) => (await import('./commands/registration.ts')).registration(values, names),
  },
  logins: {
    summary: 'update the broker login of each service to the permissions that its build declares',
    usage: 'logins',
    run: async () => (await import('./commands/logins.ts')).logins(),
  },
  split: {
    summary: 'route a share of the calls to certain versions of a service',
    usage: [
      'split [service] [--json]                            (show current splits)',
      'split <service> <version=percent...> [--reason R]   (the rest goes to all other versions)',
      'split <service> --end [--reason R]',
    ].join('\n       jogakbo '),
    options: {
      end: { type: 'boolean', help: 'remove the split: all versions share the calls' },
      reason: { type: 'string', short: 'm', value: 'R', help: 'the reason; stored with the change' },
      json: { type: 'boolean', help: 'print JSON' },
    },
    takesNames: true,
    run: async (values, names) => (await import('./commands/split.ts')).split(values, names),
  },
  map: {
    summary: 'show all services: teams, calls, events and public routes',
    usage: 'map [--markdown | --write]',
    options: {
      markdown: { type: 'boolean', help: 'print Markdown with a Mermaid flowchart' },
      write: { type: 'boolean', help: 'write docs/map/README.md and docs/map/map.svg' },
    },
    run: async (values) => (await import('./commands/map.ts')).map(values),
  },
  doctor: {
    summary: 'check this machine and show a fix for each fault',
    usage: 'doctor [--port N]',
    options: {
      port: { type: 'string', value: 'N', help: 'the public port to check (default: PORT, else 3000)' },
    },
    run: async (values) => (await import('./commands/doctor.ts')).doctor(values),
  },
  test: {
    summary: 'check types, lint and run all tests, of all projects or the named ones',
    usage: 'test [project...] [--full]',
    options: { full: { type: 'boolean', help: 'long attacks, long outages and all mutants as well' } },
    takesNames: true,
    run: async (values, names) => (await import('./commands/test.ts')).test(names, values),
  },
  serve: {
    summary: 'run one service from source and restart it after each change',
    usage: 'serve <service> [--version V]',
    options: {
      version: {
        type: 'string',
        value: 'V',
        help: 'run it as this version, beside the service of the running store',
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
    summary: 'the background process of start --detach',
    usage: 'supervise',
    options: startOptions,
    internal: true,
    run: async (values) => (await import('./commands/start.ts')).supervise(values),
  },
};

function formatOverview(): string {
  const shown = Object.entries(commands).filter(([, { internal }]) => !internal);
  const width = Math.max(...shown.map(([name]) => name.length)) + 2;
  return [
    'jogakbo: runs the whole store on this machine.',
    '',
    'usage: jogakbo <command> [options]',
    '',
    ...shown.map(([name, { summary }]) => `  ${name.padEnd(width)}${summary}`),
    '',
    'environment:',
    '  RABBITMQ_URL, DATABASE_URL   use these servers instead of private ones',
    '  RABBITMQ_MANAGEMENT_URL      the management API of that broker (default: its host, port 15672)',
    '  PORT                         the public port instead of 3000',
    '  JOGAKBO_HOME                 the state folder instead of .jogakbo',
    '  JOGAKBO_BROKER               docker or local: the only way to run a private broker',
    '  JOGAKBO_TLS=1                TLS for the private broker and database, with certificates as logins',
    '  JOGAKBO_SEED_PASSWORD        the password of the sample merchant and operator',
    '',
    'jogakbo <command> --help describes one command.',
  ].join('\n');
}

function formatHelp({ summary, usage, options = {} }: Command): string {
  const rows = Object.entries(options).map(([name, { short, value, help }]) => [
    `  ${short ? `-${short}, ` : '    '}--${name}${value ? ` ${value}` : ''}`,
    help,
  ]);
  const width = Math.max(0, ...rows.map(([option]) => option!.length)) + 2;
  return [
    `usage: jogakbo ${usage}`,
    '',
    `${summary[0]!.toUpperCase()}${summary.slice(1)}.`,
    ...(rows.length ? ['', ...rows.map(([option, help]) => option!.padEnd(width) + help)] : []),
  ].join('\n');
}

const getVersion = (folder: string): string =>
  (JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string }).version;

async function main([name, ...args]: string[]): Promise<number> {
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    console.log(formatOverview());
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
      remedies: [...(meant ? [`did you mean ${meant}?`] : []), 'list all commands:  npx jogakbo --help'],
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
    throw new UsageError(`"${name}" accepts no argument "${parsed.positionals[0]}".`, { remedies });
  }
  return command.run(parsed.values, parsed.positionals);
}

// Child processes use the workspace's own Node and tools first, as in an npm script.
process.env.PATH = `${join(root, 'node_modules', '.bin')}${delimiter}${process.env.PATH ?? ''}`;

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const missing = parseMissingPackage(error);
  const fault = missing
    ? new CliError(`The package ${missing} is not installed.`, {
        remedies: ['install the packages of package-lock.json:  npm ci'],
      })
    : error;
  console.error(fault instanceof CliError ? formatCliError(fault) : toPrintableLines(inspect(fault)));
  process.exitCode = fault instanceof UsageError ? 2 : 1;
}
