import { execFileSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const policy = '/usr/sbin/policy-rc.d';

/**
 * Finds a program that tests need. If it is missing, installs its Debian package and logs a warning; no system service is
 * started.
 * @returns its path
 * @throws Error with instructions if it cannot be installed
 */
export function ensureDebianProgram(name: string, packageName: string): string {
  const folders = [...(process.env['PATH'] ?? '').split(':'), '/usr/bin'];
  const find = () => folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
  const existing = find();
  if (existing) return existing;
  const remedy = `install it (Debian, Ubuntu: sudo apt-get install ${packageName})`;
  if (process.getuid?.() !== 0 || !existsSync('/etc/debian_version')) {
    throw new Error(`${name} is not installed: ${remedy}`);
  }
  console.warn(`${name} is not installed: installing the Debian package ${packageName} with apt-get`);
  const isPolicyOurs = !existsSync(policy);
  if (isPolicyOurs) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' };
    const lock = ['-o', 'DPkg::Lock::Timeout=120'];
    const install = [...lock, 'install', '-y', '--no-install-recommends', packageName];
    try {
      execFileSync('apt-get', install, { env, stdio: 'pipe' });
    } catch {
      // The package lists can be missing or old.
      execFileSync('apt-get', [...lock, 'update'], { env, stdio: 'pipe' });
      execFileSync('apt-get', install, { env, stdio: 'pipe' });
    }
  } finally {
    if (isPolicyOurs) rmSync(policy, { force: true });
  }
  const installed = find();
  if (!installed) throw new Error(`the package ${packageName} does not contain ${name}: ${remedy}`);
  return installed;
}
