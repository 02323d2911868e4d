#!/usr/bin/env node
// The only file that runs on whatever Node the machine has (20.19 or newer) and without node_modules:
// it installs what package-lock.json says and hands over to src/main.ts on the workspace's own Node.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const marker = join(root, 'node_modules', '.jogakbo-lock');

function lockHash() {
  return createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
}

function readText(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** True when somebody else (npm ci, npm install by hand) already installed exactly what the lock says. */
function installedByHand() {
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

function isRunning(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** One install at a time per clone: a second caller waits and then finds the work done. */
async function withInstallLock(work) {
  const lock = join(root, '.jogakbo', 'install.lock');
  mkdirSync(dirname(lock), { recursive: true, mode: 0o711 });
  let waited = false;
  for (;;) {
    try {
      writeFileSync(lock, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
      const holder = Number(readText(lock));
      if (holder && !isRunning(holder)) {
        rmSync(lock, { force: true });
        continue;
      }
      if (!waited) console.log(`Another process (${holder}) is installing the dependencies; waiting for it.`);
      waited = true;
      await pause(500);
    }
  }
  try {
    return await work();
  } finally {
    rmSync(lock, { force: true });
  }
}

function runNpmCi() {
  const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error'];
  const npm = process.env.npm_execpath?.endsWith('.js')
    ? [process.execPath, [process.env.npm_execpath, ...args]]
    : ['npm', args];
  return new Promise((resolve) => {
    const child = spawn(npm[0], npm[1], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (data) => (output += data));
    child.stderr.on('data', (data) => (output += data));
    child.on('error', (error) => resolve({ code: 127, output: String(error.message) }));
    child.on('close', (code, signal) => resolve({ code: code ?? 1, signal, output }));
  });
}

async function install() {
  const began = Date.now();
  const seconds = () => `${Math.round((Date.now() - began) / 1000)} s`;
  const title = 'Installing the dependencies (npm ci)';
  const tty = process.stdout.isTTY;
  if (!tty) console.log(`${title} ...`);
  const ticker = tty && setInterval(() => process.stdout.write(`\r${title} ... ${seconds()} `), 250);
  const { code, output } = await runNpmCi();
  if (ticker) clearInterval(ticker);
  if (tty) process.stdout.write('\r\x1b[K');
  if (code === 0) {
    console.log(`Installed the dependencies in ${seconds()}.`);
    return;
  }
  const lines = output.trim().split('\n').slice(-12);
  console.error(
    [
      '',
      `The dependencies could not be installed: npm ci ended with code ${code}.`,
      '',
      ...lines.map((line) => `  ${line}`),
      '',
      'What to do:',
      '  - check that this machine reaches its npm registry:  npm ping',
      '  - check the disk:  df -h .',
      '  - then try again:  npm ci',
      '',
    ].join('\n'),
  );
  process.exit(1);
}

function olderThan(version, major, minor) {
  const [a, b] = version.replace(/^v/, '').split('.').map(Number);
  return a < major || (a === major && b < minor);
}

function workspaceNode() {
  const own = join(root, 'node_modules', '.bin', 'node');
  if (existsSync(own)) return own;
  if (!olderThan(process.version, 24, 15)) return process.execPath;
  console.error(
    [
      '',
      `Jogakbo runs on Node 24, and there is no ready-made one for ${process.platform} ${process.arch}.`,
      `This machine's own Node is ${process.version}.`,
      '',
      'What to do: install Node 24.15 or newer (https://nodejs.org/en/download) and run the command again.',
      '',
    ].join('\n'),
  );
  process.exit(1);
}

if (olderThan(process.version, 20, 19)) {
  console.error(`Jogakbo needs Node 20.19 or newer to begin with; this is ${process.version}.`);
  process.exit(1);
}

if (readText(marker) !== lockHash()) {
  await withInstallLock(async () => {
    if (readText(marker) === lockHash()) return;
    if (!installedByHand()) await install();
    writeFileSync(marker, lockHash());
  });
}

// A small young generation keeps the supervisor, which lives as long as the store, small.
const child = spawn(
  workspaceNode(),
  [
    '--max-semi-space-size=2',
    '--disable-warning=ExperimentalWarning',
    join(root, 'tools', 'cli', 'src', 'main.ts'),
    ...process.argv.slice(2),
  ],
  { stdio: 'inherit' },
);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('error', (error) => {
  console.error(`Could not start Node: ${error.message}`);
  process.exit(1);
});
child.on('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 1)));
