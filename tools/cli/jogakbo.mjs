#!/usr/bin/env node
// Bootstrap: runs on any Node from 20.19, without node_modules. It installs the packages of package-lock.json
// and then runs src/main.ts on the workspace's own Node, or the .ts file that is its first argument.
import { spawn, spawnSync } from 'node:child_process';
import { hash } from 'node:crypto';
import { existsSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const marker = join(root, 'node_modules', '.jogakbo-lock');

const toExitCode = (signal) => 128 + (constants.signals[signal] ?? 1);
const exitBy = (signal) => process.exit(toExitCode(signal));
/** Handles a stop signal in the current phase. */
let onStop = exitBy;

const lockHash = () => hash('sha256', readFileSync(join(root, 'package-lock.json')));

function readText(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/**
 * True when node_modules already matches package-lock.json, for example after a manual npm ci. Unlike findMissingPackages of
 * supervisor/packages.ts, it reads what npm has recorded, in one file: it runs before every command.
 */
function isInstalledManually() {
  try {
    const wanted = JSON.parse(readText(join(root, 'package-lock.json'))).packages;
    const present = JSON.parse(readText(join(root, 'node_modules', '.package-lock.json'))).packages;
    return Object.entries(wanted).every(
      ([path, entry]) =>
        !path.startsWith('node_modules/') ||
        entry.optional ||
        entry.devOptional ||
        entry.peer ||
        (present[path] && present[path].version === entry.version && existsSync(join(root, path))),
    );
  } catch {
    return false;
  }
}

// The next functions are those of supervisor/processes.ts, which needs a newer Node: keep them equal.

/** The start time of a process: distinguishes it from a later process with the same pid. Empty if the process has exited. */
function readStartTime(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? '' : fields[19];
  } catch {
    if (process.platform === 'linux') return '';
    return (spawnSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).stdout ?? '').trim();
  }
}

const identifyProcess = (pid) => ({ pid, began: readStartTime(pid) });
const isAlive = (identity) =>
  identity !== undefined && identity.began !== '' && readStartTime(identity.pid) === identity.began;

/** Sends a signal to a process group. @returns false if no process of the group exists */
function signalGroup(pid, signal) {
  try {
    process.kill(-pid, signal);
    return true;
  } catch (error) {
    return error.code !== 'ESRCH';
  }
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Terminates a process group: SIGTERM, and SIGKILL after 3 s. Resolves when no process remains, or after 10 s. */
async function endGroup(pid) {
  signalGroup(pid, 'SIGTERM');
  for (const began = Date.now(); signalGroup(pid, 0) && Date.now() < began + 10_000;) {
    await pause(50);
    if (Date.now() > began + 3_000) signalGroup(pid, 'SIGKILL');
  }
}

// Not in JOGAKBO_HOME: the lock protects the node_modules of this workspace.
const lock = join(root, '.jogakbo', 'install.lock');

/** Creates the lock file atomically, with its content. @returns false if the lock already exists */
function takeLock(holder) {
  const draft = `${lock}.${process.pid}`;
  writeFileSync(draft, JSON.stringify(holder), { mode: 0o600 });
  try {
    linkSync(draft, lock);
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    return false;
  } finally {
    rmSync(draft, { force: true });
  }
}

/** Parses the lock holder: its process, and the process group of its npm ci. Undefined if the content is invalid. */
function parseHolder(text) {
  try {
    const holder = JSON.parse(text);
    return typeof holder.pid === 'number' && typeof holder.began === 'string' ? holder : undefined;
  } catch {
    return undefined;
  }
}

/** Removes the lock of an exited process and terminates its npm ci if that is still running. */
async function clearLock(seen) {
  const moved = `${lock}.${process.pid}.stale`;
  try {
    renameSync(lock, moved);
  } catch {
    return; // another process has already removed it
  }
  const { npm } = parseHolder(seen) ?? {};
  if (readText(moved) !== seen) {
    // Another process acquired the lock in the meantime: restore its lock.
    if (!existsSync(lock)) renameSync(moved, lock);
  } else if (npm && ['', npm.began].includes(readStartTime(npm.pid))) {
    // The group leader may have exited before the group. The kernel does not reuse its pid while the group exists.
    await endGroup(npm.pid);
  }
  rmSync(moved, { force: true });
}

/** Serializes installations per clone. A second caller waits and then finds the packages installed. */
async function withInstallLock(work) {
  mkdirSync(dirname(lock), { recursive: true, mode: 0o711 });
  const self = identifyProcess(process.pid);
  let waited = false;
  while (!takeLock(self)) {
    const seen = readText(lock);
    const holder = parseHolder(seen);
    if (!isAlive(holder)) {
      if (seen || existsSync(lock)) await clearLock(seen);
      continue;
    }
    if (!waited)
      console.log(`Another process (${holder.pid}) is installing the dependencies; waiting for it.`);
    waited = true;
    await pause(500);
  }
  try {
    return await work((npm) => {
      const draft = `${lock}.${process.pid}`;
      writeFileSync(draft, JSON.stringify({ ...self, npm }), { mode: 0o600 });
      renameSync(draft, lock);
    });
  } finally {
    rmSync(lock, { force: true });
  }
}

/** Runs npm ci in its own process group. A stop signal terminates the whole group. */
function runNpmCi(onStarted) {
  const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error'];
  const npm = process.env.npm_execpath?.endsWith('.js')
    ? [process.execPath, [process.env.npm_execpath, ...args]]
    : ['npm', args];
  return new Promise((resolve) => {
    const child = spawn(npm[0], npm[1], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    let output = '';
    let stopped;
    if (child.pid) onStarted(identifyProcess(child.pid));
    onStop = (signal) => {
      stopped ??= signal;
      void endGroup(child.pid).then(() => resolve({ code: 1, signal: stopped, output }));
    };
    child.stdout.on('data', (data) => (output += data));
    child.stderr.on('data', (data) => (output += data));
    child.on('error', (error) => resolve({ code: 127, output: String(error.message) }));
    child.on('close', (code) => stopped ?? resolve({ code: code ?? 1, output }));
  });
}

async function install(onStarted) {
  const began = Date.now();
  const seconds = () => `${Math.round((Date.now() - began) / 1000)} s`;
  const title = 'Installing the dependencies (npm ci)';
  const tty = process.stdout.isTTY;
  if (!tty) console.log(`${title} ...`);
  const ticker = tty && setInterval(() => process.stdout.write(`\r${title} ... ${seconds()} `), 250);
  const { code, signal, output } = await runNpmCi(onStarted);
  onStop = exitBy;
  if (ticker) clearInterval(ticker);
  if (tty) process.stdout.write('\r\x1b[K');
  if (signal) {
    console.error(
      'The installation was interrupted and all its processes have ended. The next command installs again.',
    );
    return toExitCode(signal);
  }
  if (code === 0) {
    console.log(`Installed the dependencies in ${seconds()}.`);
    return 0;
  }
  const lines = output.trim().split('\n').slice(-12);
  console.error(`
The dependencies could not be installed: npm ci exited with code ${code}.

${lines.map((line) => `  ${line}`).join('\n')}

What to do:
  - check that this machine can reach the npm registry:  npm ping
  - check the free disk space:  df -h .
  - then try again:  npm ci
`);
  return 1;
}

function isOlderThan(version, major, minor) {
  const [a, b] = version.replace(/^v/, '').split('.').map(Number);
  return a < major || (a === major && b < minor);
}

const canRunServices = () => !isOlderThan(process.version, 24, 15);

/** Whether npm provides a Node 24 binary for this platform. */
function hasPackagedNode() {
  const { optionalDependencies = {} } = JSON.parse(readText(join(root, 'package.json')) || '{}');
  return `node-${process.platform}-${process.arch}` in optionalDependencies;
}

/** The command that installs Node 24 with the version manager of this machine. */
function getNodeInstallCommand() {
  const isInstalled = (name) =>
    (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, name)));
  if (process.env.NVM_DIR) return 'nvm install 24';
  if (isInstalled('fnm')) return 'fnm use --install-if-missing 24';
  if (isInstalled('brew')) return 'brew install node@24 && export PATH="$(brew --prefix node@24)/bin:$PATH"';
  return 'sudo npx n 24   (or https://nodejs.org/en/download)';
}

function exitWithOldNode(reason, remedy) {
  console.error(`
Jogakbo requires Node 24, but ${reason}.
The Node of this machine is ${process.version}.

What to do: ${remedy}
`);
  process.exit(1);
}

function exitWithoutNode() {
  exitWithOldNode(
    `npm has no Node 24 for ${process.platform} ${process.arch}`,
    `run this, and then the command again:  ${getNodeInstallCommand()}`,
  );
}

function findWorkspaceNode() {
  const own = join(root, 'node_modules', '.bin', 'node');
  if (existsSync(own)) return own;
  if (canRunServices()) return process.execPath;
  return exitWithOldNode('the Node of this workspace is not installed', 'npm ci --include=optional');
}

if (isOlderThan(process.version, 20, 19)) {
  console.error(`Jogakbo needs Node 20.19 or newer to start; this is ${process.version}.`);
  process.exit(1);
}

if (!canRunServices() && !hasPackagedNode()) exitWithoutNode();

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => onStop(signal));

if (readText(marker) !== lockHash()) {
  const code = await withInstallLock(async (onStarted) => {
    if (readText(marker) === lockHash()) return 0;
    const failed = isInstalledManually() ? 0 : await install(onStarted);
    if (!failed) writeFileSync(marker, lockHash());
    return failed;
  });
  if (code) process.exit(code);
}

const [first = '', ...rest] = process.argv.slice(2);
const main = first.endsWith('.ts') ? [first, ...rest] : ['tools/cli/src/main.ts', ...process.argv.slice(2)];
main[0] = join(root, main[0]);
// A small young generation limits the memory of the supervisor, which runs as long as the store.
const flags = ['--max-semi-space-size=2', '--disable-warning=ExperimentalWarning'];
// The folder that src/workspace.ts names compileCache.
const env = { NODE_COMPILE_CACHE: join(root, '.jogakbo', 'compile-cache'), ...process.env };
const child = spawn(findWorkspaceNode(), [...flags, ...main], { stdio: 'inherit', env });
onStop = (signal) => child.kill(signal);
child.on('error', (error) => {
  console.error(`Could not start Node: ${error.message}`);
  process.exit(1);
});
child.on('exit', (code, signal) => process.exit(code ?? toExitCode(signal)));
