import { execFileSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const policy = '/usr/sbin/policy-rc.d';

/**
 * A program that tests need. Where it is not there, its Debian package is installed, and that is said; no service of the
 * system is started by it.
 * @returns its path
 * @throws Error that says what to do where it cannot be installed
 */
export function debianProgram(name: string, packageName: string): string {
  const folders = [...(process.env['PATH'] ?? '').split(':'), '/usr/bin'];
  const find = () => folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
  const there = find();
  if (there) return there;
  const remedy = `install it (Debian, Ubuntu: sudo apt-get install ${packageName})`;
  if (process.getuid?.() !== 0 || !existsSync('/etc/debian_version')) {
    throw new Error(`no ${name} here: ${remedy}`);
  }
  console.warn(`no ${name} here: installing Debian’s package ${packageName} with apt-get`);
  const policyIsOurs = !existsSync(policy);
  if (policyIsOurs) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' };
    const lock = ['-o', 'DPkg::Lock::Timeout=120'];
    const install = [...lock, 'install', '-y', '--no-install-recommends', packageName];
    try {
      execFileSync('apt-get', install, { env, stdio: 'pipe' });
    } catch {
      // Where the lists are missing or old.
      execFileSync('apt-get', [...lock, 'update'], { env, stdio: 'pipe' });
      execFileSync('apt-get', install, { env, stdio: 'pipe' });
    }
  } finally {
    if (policyIsOurs) rmSync(policy, { force: true });
  }
  const installed = find();
  if (!installed) throw new Error(`the package ${packageName} did not bring ${name}: ${remedy}`);
  return installed;
}
