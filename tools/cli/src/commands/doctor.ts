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
  pass,
  toFailedCheck,
  type Check,
} from '../supervisor/checks.ts';
import { toPrintable } from '../terminal/printable.ts';
import { parseStartOptions } from '../supervisor/start-options.ts';
import { openState, type StateFolder } from '../supervisor/state.ts';

/** @throws UsageError if --port is invalid. An invalid setting of the environment is a failed check. */
function findPort(options: { port?: string }, state: StateFolder): number | Check {
  try {
    return parseStartOptions(options, state).port;
  } catch (error) {
    if (options.port !== undefined) throw error;
    return toFailedCheck('settings', error);
  }
}

export async function doctor(options: { port?: string }): Promise<number> {
  const state = openState();
  const port = findPort(options, state);
  const checks = [
    checkNode(),
    checkDisk(state),
    pass('state folder', state.folder),
    checkPackages('all'),
    checkSecrets(state),
    checkDataFolders(state),
    checkSupervisor(state),
    typeof port === 'number' ? await checkPort(port, state) : port,
    await checkBroker(state),
    await checkDatabase(),
    ...[checkTls(state), await checkRoutes(state)].filter((check) => check !== undefined),
  ];
  for (const { name, ok, text, fixes } of checks) {
    console.log(
      `${ok ? styleText('green', 'ok   ') : styleText('red', 'fault')}  ${name.padEnd(13)} ${toPrintable(text)}`,
    );
    if (fixes.length) console.log(`       ${''.padEnd(13)} ${toPrintable(fixes.join('; '))}`);
  }
  const faults = checks.filter(({ ok }) => !ok).length;
  console.log(faults ? `\n${faults} of ${checks.length} checks failed.` : '\nEverything is in order.');
  return faults ? 1 : 0;
}
