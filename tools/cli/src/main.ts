import { parseArgs } from 'node:util';
import { Fault, messageOf, screenOf, UsageFault } from './fault.ts';

interface Command {
  summary: string;
  usage: string;
  options?: Parameters<typeof parseArgs>[0] extends infer Config
    ? Config extends { options?: infer Options }
      ? Options
      : never
    : never;
  /** Hidden from the list: called by other parts, not by people. */
  internal?: boolean;
  /** Takes its arguments as they come. */
  raw?: boolean;
  run(values: Record<string, unknown>, positionals: string[]): Promise<number>;
}

const commands: Record<string, Command> = {
  'with-backing-services': {
    summary: 'run a command with a throw-away RabbitMQ and PostgreSQL',
    usage: 'with-backing-services -- <command...>',
    internal: true,
    raw: true,
    run: async (_values, args) => (await import('./with-backing-services.ts')).withBackingServices(args),
  },
};

async function main([name, ...args]: string[]): Promise<number> {
  const command = commands[name!]!;
  const { values, positionals } = command.raw
    ? { values: {}, positionals: args }
    : parseArgs({ args, options: command.options, allowPositionals: true });
  return command.run(values, positionals);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (error instanceof Fault) console.error(screenOf(error));
  else console.error(error instanceof Error ? error.stack : messageOf(error));
  process.exitCode = error instanceof UsageFault ? 2 : 1;
}
