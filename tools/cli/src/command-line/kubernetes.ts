import { Command } from 'commander';
import type { KubernetesOptions } from '../commands/kubernetes.ts';
import { withExitCode } from './exit-code.ts';

const load = () => import('../commands/kubernetes.ts');

export function declareKubernetes(): Command {
  const kubernetes = new Command('kubernetes')
    .description('show the Kubernetes objects of all services')
    .option('--write', 'write the generated files of deploy/kubernetes')
    .option('--no-build', 'use the builds that exist')
    .action(withExitCode(async (options: KubernetesOptions) => (await load()).showObjects(options)));
  kubernetes
    .command('check')
    .description(
      'render overlays, and check their objects against schemas and against each other; needs no cluster',
    )
    .argument('[overlay]', 'the name of a folder in deploy/kubernetes/overlays; without it, all of them')
    .action(withExitCode(async (overlay?: string) => (await load()).checkOverlays(overlay)));
  kubernetes
    .command('secrets')
    .description('print the Secrets of the development overlay; creates missing values in .env')
    .action(withExitCode(async () => (await load()).printSecrets()));
  return kubernetes;
}
