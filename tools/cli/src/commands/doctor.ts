import { styleText } from 'node:util';
import {
  checkBroker,
  checkDatabase,
  checkDisk,
  checkNode,
  checkPort,
  checkDataFolders,
  checkPackages,
  checkRoutes,
  checkSecrets,
  checkSupervisor,
  checkTls,
  passed,
} from './checks.ts';
import { printable } from '../terminal/printable.ts';
import { startOptions } from './start.ts';
import { openState } from '../supervisor/state.ts';

export async function doctor(values: Record<string, unknown>): Promise<number> {
  const state = openState();
  const { port } = startOptions(values, state);
  const checks = [
    checkNode(),
    checkDisk(state),
    passed('state folder', state.folder),
    checkPackages('all'),
    checkSecrets(state),
    checkDataFolders(state),
    checkSupervisor(state),
    await checkPort(port, state),
    await checkBroker(state),
    await checkDatabase(),
    ...[checkTls(state), await checkRoutes(state)].filter((check) => check !== undefined),
  ];
  for (const { name, ok, text, fixes } of checks) {
    console.log(
      `${ok ? styleText('green', 'ok   ') : styleText('red', 'fault')}  ${name.padEnd(13)} ${printable(text)}`,
    );
    if (fixes.length) console.log(`       ${''.padEnd(13)} ${printable(fixes.join('; '))}`);
  }
  const faults = checks.filter(({ ok }) => !ok).length;
  console.log(faults ? `\n${faults} of ${checks.length} checks failed.` : '\nEverything is in order.');
  return faults ? 1 : 0;
}
