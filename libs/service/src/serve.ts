import { Projector } from '@jogakbo/consistency';
import { DecryptionKeys } from '@jogakbo/messaging';
import type { Type } from '@nestjs/common';
import { describeBus, describeContract } from './bus.ts';
import { compactWhenIdle } from './compact-heap.ts';
import { createDataSource } from './data-source.ts';
import { describeSettings } from './describe-settings.ts';
import { environmentName, readSetting } from './environment.ts';
import { watchListeningPorts } from './listening-ports.ts';
import { getServiceHost } from './service-host.ts';
import { getMigrationName, listSettingsClasses, serviceOptions, type MigrationClass } from './service.ts';
import {
  DatabaseSettings,
  isMarked,
  loadSettings,
  PlatformSettings,
  settings,
  WrongSettings,
} from './settings.ts';
import { start, type StartOptions } from './start.ts';

/** Exit code for wrong settings (EX_CONFIG of sysexits.h): a restart would not help. */
const wrongSettingsExitCode = 78;

/**
 * Runs a service as a process: `main.js` serves, `main.js migrate` runs its migrations and ends, `main.js describe`
 * prints its contract and what it does on the bus, `main.js keys` prints its public keys for the deploy step, `main.js
 * --help` lists these commands. SIGTERM, SIGINT and the end of its supervisor drain it.
 */
export async function serve(module: Type, options: StartOptions = {}): Promise<void> {
  const { contract } = serviceOptions(module);
  const startHere = (from: NodeJS.ProcessEnv) => {
    assertLoginPerService(from);
    return start(module, { listeningPorts: watchListeningPorts(), ...options, environment: from });
  };
  const environment = options.environment ?? process.env;
  const host = getServiceHost();
  if (host) return host(contract.name, startHere);
  try {
    const [, , command, ...names] = process.argv;
    if (command === '--help' || command === '-h') return help(module);
    if (command === 'describe') return printDescription(module);
    if (command === 'keys') return printPublicKeys(environment);
    if (command === 'migrate') return await migrate(module, environment, names);
    if (command !== undefined) {
      console.error(`${contract.name}: "${command}" is not a command; see --help`);
      process.exitCode = 2;
      return;
    }
    const running = await startHere(environment);
    const end = () => {
      // Draining must end before the supervisor kills the process.
      setTimeout(() => process.exit(1), 9_500).unref();
      running.stop().then(
        () => process.exit(0),
        (error: unknown) => {
          console.error(error);
          process.exit(1);
        },
      );
    };
    process.once('SIGTERM', end).once('SIGINT', end).once('disconnect', end);
    process.send?.({ type: 'ready', url: running.url });
    // After `ready` is sent: this blocks the process for about 100 ms.
    setImmediate(() => compactWhenIdle());
  } catch (error) {
    if (error instanceof WrongSettings) {
      console.error(`${contract.name} cannot start: ${error.wrong.length} of its settings are wrong.`);
      for (const { key, origin, problem } of error.wrong) console.error(`  ${key} (${origin}): ${problem}`);
      process.exit(wrongSettingsExitCode);
    }
    console.error(error);
    process.exit(1);
  }
}

/** Prints what the build writes to contract.json, bus.json and settings.json. */
function printDescription(module: Type): void {
  const description = {
    contract: describeContract(serviceOptions(module)),
    bus: describeBus(module),
    settings: describeSettings(listSettingsClasses(module)),
  };
  console.log(JSON.stringify(description, null, 2));
}

/** Prints the public keys of SERVICE_KEY, newest first. @throws WrongSettings if it is missing */
function printPublicKeys(environment: NodeJS.ProcessEnv): void {
  const [{ serviceKey }] = loadSettings(
    [settings({ serviceKey: PlatformSettings.shape.serviceKey })],
    environment,
  );
  if (!serviceKey)
    throw new WrongSettings([{ key: 'SERVICE_KEY', origin: 'not set', problem: 'is missing' }]);
  console.log(JSON.stringify(new DecryptionKeys(serviceKey).publicKeys));
}

/**
 * Requires separate logins: with a shared login, any service could send in the name of another one.
 * @throws WrongSettings outside local mode without BROKER_OPERATOR
 */
export function assertLoginPerService(environment: NodeJS.ProcessEnv): void {
  const { localMode, brokerOperator } = PlatformSettings.shape;
  const [given] = loadSettings([settings({ localMode, brokerOperator })], environment);
  if (given.localMode || given.brokerOperator) return;
  const problem = 'is missing: outside local mode every service needs its own login at the broker';
  throw new WrongSettings([{ key: 'BROKER_OPERATOR', origin: 'not set', problem }]);
}

/** @throws WrongSettings also if a login would cross a network without TLS */
export function loadDatabaseSettings(environment: NodeJS.ProcessEnv): DatabaseSettings {
  const { localMode, plaintextNetwork } = PlatformSettings.shape;
  const platform = settings({ localMode, plaintextNetwork });
  const [policy, database] = loadSettings([platform, DatabaseSettings], environment);
  const problem = DatabaseSettings.check!(database, policy)['databaseUrl'];
  if (!problem) return database;
  const { origin } = readSetting('DATABASE_URL', environment, true);
  throw new WrongSettings([{ key: 'DATABASE_URL', origin, problem }]);
}

/** @param names only these migrations, without read models; by default all */
async function migrate(
  module: Type,
  environment: NodeJS.ProcessEnv,
  names: readonly string[],
): Promise<void> {
  const { contract, migrations, projections = [] } = serviceOptions(module);
  if (!migrations) return console.log(`${contract.name} has no database`);
  const wanted = names.length > 0 ? selectMigrations(migrations, names) : migrations;
  const settings = loadDatabaseSettings(environment);
  const dataSource = await createDataSource(module, settings, wanted).initialize();
  const lock = dataSource.createQueryRunner();
  try {
    // Two deployments of the same service wait for each other.
    await lock.query(`SELECT pg_advisory_lock(hashtext('migrations'))`);
    const done = await dataSource.runMigrations();
    if (names.length === 0) await new Projector(projections, dataSource, settings.databaseUrl).prepare();
    const list = done.map(({ name }) => name).join(', ');
    console.log(`${contract.name}: ${done.length} migrations run${list && `: ${list}`}`);
  } finally {
    await lock.release();
    await dataSource.destroy();
  }
}

/** @throws Error if there is no migration of a name */
function selectMigrations(migrations: readonly MigrationClass[], names: readonly string[]): MigrationClass[] {
  const known = migrations.map((one) => getMigrationName(one));
  const missing = names.filter((name) => !known.includes(name));
  if (missing.length > 0) throw new Error(`there is no migration ${missing.join(', ')}; see \`describe\``);
  return migrations.filter((_, index) => names.includes(known[index]!));
}

function help(module: Type): void {
  const { contract } = serviceOptions(module);
  const classes = listSettingsClasses(module);
  console.log(
    `${contract.name}: ${contract.description}\n\n  main.js            serve\n  main.js migrate    run migrations; with names, only these\n  main.js describe   print its contract, and what it does on the bus\n  main.js keys       print its public keys for ENCRYPTION_KEYS of the deploy step\n`,
  );
  console.log('Settings, from the environment or from the file named by <NAME>_FILE:');
  for (const [field, schema] of classes.flatMap(({ shape }) => Object.entries(shape))) {
    console.log(
      `  ${environmentName(field).padEnd(18)} ${schema.description ?? ''}${isMarked(schema, 'environmentOnly') ? ' (environment only)' : ''}`,
    );
  }
}
