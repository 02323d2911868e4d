import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readConfigClients } from './config-secrets.ts';
import { Fault, UsageFault } from './fault.ts';
import { nearestName } from './nearest-name.ts';
import { readRun } from './run-record.ts';
import { type State } from './state.ts';
import { type App, listApps, nodePath, root } from './workspace.ts';
import { join } from 'node:path';

/** What `main.js check` answers. */
interface Checked {
  known: string[];
  problems: { key: string; problem: string }[];
}

/** Whose settings are those of all services. */
const shared = 'application';

/** Asks the build of a service what it would refuse. Values go over standard input: a command line is there for all to read. */
function ask({ main, name }: App, settings: Record<string, string>): Promise<Checked> {
  return new Promise((resolve, reject) => {
    const child = spawn(nodePath(), [join(root, main), 'check'], { stdio: ['pipe', 'pipe', 'pipe'] });
    let output = '';
    let complaints = '';
    child.stdout.on('data', (data) => (output += data));
    child.stderr.on('data', (data) => (complaints += data));
    child.stdin.on('error', () => undefined).end(JSON.stringify(settings));
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) return resolve(JSON.parse(output) as Checked);
      reject(
        new Fault(`${name} cannot be asked which settings it has.`, {
          details: complaints.split('\n').filter((line) => /Error|not a command/.test(line)),
          remedies: [`npx nx build ${name}`],
        }),
      );
    });
  });
}

/** @throws UsageFault that names the nearest one where there is no such service */
function appsNamed(state: State, application: string): App[] {
  const apps = listApps();
  if (application === shared) {
    const running = readRun(state)?.services.map(({ name }) => name) ?? [];
    return apps.filter(({ name }) => running.includes(name));
  }
  const app = apps.find(({ name }) => name === application);
  if (app) return [app];
  // A service of another workspace, to which somebody gave a password here.
  if (Object.hasOwn(readConfigClients(state) ?? {}, application)) return [];
  const meant = nearestName(application, [...apps.map(({ name }) => name), shared]);
  throw new UsageFault(`There is no service called ${application}.`, {
    remedies: [
      meant ? `did you mean ${meant}?` : `one of ${apps.map(({ name }) => name).join(', ')}, ${shared}`,
    ],
  });
}

/**
 * Refuses what the service would refuse, before it is kept. For `application` a key must be known to one of the services
 * that run, and its value must please all of them that know it.
 * @throws UsageFault that lists every wrong key
 */
export async function mustFit(
  state: State,
  application: string,
  settings: Record<string, string>,
): Promise<void> {
  const apps = appsNamed(state, application).filter(({ main }) => existsSync(join(root, main)));
  if (apps.length === 0) return;
  const checked = await Promise.all(apps.map(async (app) => ({ app, ...(await ask(app, settings)) })));
  const known = [...new Set(checked.flatMap((one) => one.known))];
  const details = Object.keys(settings).flatMap((key) => {
    if (!known.includes(key)) {
      const meant = nearestName(key, known);
      return [`${key}: there is no such setting${meant ? `; did you mean ${meant}?` : ''}`];
    }
    const problems = checked.flatMap(({ problems }) => problems.filter((one) => one.key === key));
    return [...new Set(problems.map(({ problem }) => `${key}: ${problem}`))];
  });
  if (details.length === 0) return;
  throw new UsageFault('Nothing was set.', {
    details,
    remedies: application === shared ? [] : [`its settings:  npx jogakbo config explain ${application}`],
  });
}
