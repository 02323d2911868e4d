import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type LaunchCommand, type LaunchContext } from './service-launch.ts';
import { compileCache, nodePath, root } from '../workspace.ts';

/** What a shared process needs of the user's environment. Each service gets its own environment in the request to start it. */
const passed = [
  ...['PATH', 'HOME', 'LANG', 'TZ', 'TMPDIR'],
  // Node reads them when it starts.
  ...['NODE_OPTIONS', 'NODE_EXTRA_CA_CERTS', 'NODE_USE_SYSTEM_CA', 'SSL_CERT_FILE', 'SSL_CERT_DIR'],
];

const toolsFolder = join(import.meta.dirname, '..', '..', '..');

/** Prepares a process for several services. @param host file of this folder that runs them */
export function prepareSharedProcess(
  host: string,
  flags: readonly string[],
  { state }: Pick<LaunchContext, 'state'>,
  user = process.env,
): LaunchCommand {
  return {
    command: nodePath(),
    args: [
      ...flags,
      `--import=${pathToFileURL(join(toolsFolder, 'delivery', 'src', 'source-maps.mjs')).href}`,
      join(import.meta.dirname, host),
    ],
    cwd: root,
    env: {
      ...Object.fromEntries(passed.flatMap((name) => (user[name] ? [[name, user[name]]] : []))),
      MALLOC_ARENA_MAX: user.MALLOC_ARENA_MAX ?? '2',
      MALLOC_MMAP_THRESHOLD_: user.MALLOC_MMAP_THRESHOLD_ ?? '1048576',
      NODE_COMPILE_CACHE: compileCache,
      JOGAKBO_HOME: state.folder,
    },
  };
}
