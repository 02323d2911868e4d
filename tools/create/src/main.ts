// npm run create -- ../my-product [--name my-product] [--git]
import { basename, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { createWorkspace, CreateError } from './create-workspace.ts';

const help = `usage: npm run create -- <folder> [options]

Makes a workspace for a product of your own: the platform of this one, and a sample service to start from.

  <folder>      where to make it: a new or empty folder outside of this workspace
  --name NAME   its name: lower-case letters, digits and hyphens (default: the name of the folder)
  --git         also make a Git repository of it, with a first commit
  --help        show this text`;

async function main(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      name: { type: 'string' },
      git: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) {
    console.log(help);
    return 0;
  }
  const [given, ...others] = positionals;
  if (given === undefined) throw new CreateError('no folder was given');
  if (others.length > 0) throw new CreateError(`one folder is expected, not also ${others.join(' ')}`);
  const folder = resolve(process.env.INIT_CWD ?? '.', given);
  await createWorkspace({
    folder,
    name: values.name ?? basename(folder),
    git: values.git,
    report: (text) => console.log(text),
  });
  const shown = relative(process.env.INIT_CWD ?? process.cwd(), folder);
  console.log(
    [
      '',
      `Next:  cd ${shown}`,
      '       npm start    installs the packages, and starts everything',
      '       npm test     checks everything',
      '',
      'README.md describes the next steps.',
    ].join('\n'),
  );
  return 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const isUsage =
    error instanceof CreateError || String((error as { code?: string }).code).startsWith('ERR_PARSE_ARGS');
  if (!isUsage) throw error;
  console.error(`${(error as Error).message}\nSee npm run create -- --help.`);
  process.exitCode = 2;
}
