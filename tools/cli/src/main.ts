import { enableCompileCache } from 'node:module';
import { delimiter, join } from 'node:path';
import { runCommandLine } from './command-line/run.ts';
import { compileCache, root } from './workspace.ts';

enableCompileCache(compileCache);
// Child processes use the workspace's own Node and tools first, as in an npm script.
process.env.PATH = `${join(root, 'node_modules', '.bin')}${delimiter}${process.env.PATH ?? ''}`;
process.exitCode = await runCommandLine(process.argv.slice(2));
