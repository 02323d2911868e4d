import { spawn } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { CliError } from '../../terminal/cli-error.ts';

export function canInstallBroker(): boolean {
  return process.getuid?.() === 0 && existsSync('/etc/debian_version') && existsSync('/usr/bin/apt-get');
}

const policy = '/usr/sbin/policy-rc.d';

/** Installs the package without starting or enabling its system service. */
export async function installBroker(report: (text: string) => void): Promise<void> {
  report('RabbitMQ is not installed: installing the Debian package rabbitmq-server with apt-get');
  const policyIsOurs = !existsSync(policy);
  if (policyIsOurs) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    const lock = ['-o', 'DPkg::Lock::Timeout=120'];
    await run('apt-get', [...lock, 'update']).catch(() => undefined);
    const install = ['install', '-y', '--no-install-recommends', 'rabbitmq-server'];
    const { code, output } = await run('apt-get', [...lock, ...install]);
    if (code !== 0) {
      throw new CliError('RabbitMQ could not be installed with apt-get.', {
        details: output.trim().split('\n').slice(-8),
        remedies: [
          'install it manually:  apt-get install rabbitmq-server',
          'or use an external broker:  RABBITMQ_URL=amqp://user:password@host:5672 npm start',
        ],
      });
    }
    if (existsSync('/usr/bin/systemctl')) await run('systemctl', ['disable', 'rabbitmq-server.service']);
  } finally {
    if (policyIsOurs) rmSync(policy, { force: true });
  }
}

function run(command: string, args: string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' },
    });
    let output = '';
    child.stdout.on('data', (data) => (output += data));
    child.stderr.on('data', (data) => (output += data));
    child.on('error', (error) => resolve({ code: 127, output: error.message }));
    child.on('close', (code) => resolve({ code: code ?? 1, output }));
  });
}
