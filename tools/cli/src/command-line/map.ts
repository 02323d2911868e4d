import { Command } from 'commander';
import type { MapOptions } from '../commands/map.ts';
import { withExitCode } from './exit-code.ts';

export const declareMap = (): Command =>
  new Command('map')
    .description('show all services: teams, calls, events and public routes')
    .option('--markdown', 'print Markdown with a Mermaid flowchart')
    .option('--write', 'write docs/map/README.md and docs/map/map.svg')
    .option('--no-build', 'use the builds that exist')
    .action(withExitCode(async (options: MapOptions) => (await import('../commands/map.ts')).map(options)));
