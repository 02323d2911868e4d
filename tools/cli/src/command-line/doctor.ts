import { Command } from 'commander';
import { withExitCode } from './exit-code.ts';

export const declareDoctor = (): Command =>
  new Command('doctor')
    .description('check this machine and show a fix for each problem')
    .option(
      '--port <N>',
      'the public port to check (default: PORT, else the port of the last start, else 3000)',
    )
    .action(
      withExitCode(async (options: { port?: string }) =>
        (await import('../commands/doctor.ts')).doctor(options),
      ),
    );
