import { Command } from 'commander';
import type { BuildOptions } from '../commands/build.ts';
import { withExitCode } from './exit-code.ts';

export const declareBuild = (): Command =>
  new Command('build')
    .description('build services as folders that run without this workspace')
    .argument('[services...]', 'the names of services (default: all)')
    .option('--out <folder>', 'writes each service into a folder of its name in this one', 'dist')
    .action(
      withExitCode(async (services: string[], options: BuildOptions) =>
        (await import('../commands/build.ts')).buildArtefacts(services, options),
      ),
    );
