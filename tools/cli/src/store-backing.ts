import { join } from 'node:path';
import { dockerBrokerRuns } from './docker-broker.ts';
import { UsageFault } from './fault.ts';
import { claimPorts } from './ports.ts';
import { type BrokerPlace, brokerLeftRunning } from './private-broker.ts';
import { type DatabasePlace } from './private-postgres.ts';
import { hasSecrets, keepPorts, keptPorts, openSecrets, type State } from './state.ts';
import { openTls } from './store-tls.ts';

const brokerPorts = ['amqp', 'management', 'distribution', 'epmd'] as const;

/** Where the private broker of a store lives. One that still runs keeps its ports; otherwise those that are free again. */
export async function brokerPlaceOf(state: State, abort?: AbortSignal): Promise<BrokerPlace> {
  const at = { folder: join(state.folder, 'rabbitmq'), name: `jogakbo-${state.id}` };
  const kept = keptPorts(state);
  const runs = brokerLeftRunning(at) !== undefined || (await dockerBrokerRuns(at));
  const ports = { ...(await claimPorts(brokerPorts, kept)), ...(runs ? kept : {}) };
  keepPorts(state, ports);
  const { broker: password } = openSecrets(state);
  return { ...at, logs: state.logs, password, ports, tls: await openTls(state), throwaway: false, abort };
}

/** Where Eureka's clients look unless they are told otherwise. */
const eurekaPort = 8761;

/** The registry's port: the one of REGISTRY_PORT, else the one of before, else Eureka's own, else any that is free. */
export async function registryPortOf(state: State, chosen = process.env.REGISTRY_PORT): Promise<number> {
  if (chosen) {
    const port = Number(chosen);
    if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
    throw new UsageFault(`REGISTRY_PORT is "${chosen}": it is a number from 1 to 65535.`);
  }
  const { registry } = await claimPorts(['registry'], { registry: eurekaPort, ...keptPorts(state) });
  keepPorts(state, { registry });
  return registry;
}

export async function databasePlaceOf(state: State): Promise<DatabasePlace> {
  const passwordIsKept = hasSecrets(state);
  const { postgres } = await claimPorts(['postgres'], keptPorts(state));
  keepPorts(state, { postgres });
  const { database: password } = openSecrets(state);
  const folder = join(state.folder, 'postgres');
  return {
    folder,
    logs: state.logs,
    id: state.id,
    password,
    passwordIsKept,
    port: postgres,
    tls: await openTls(state),
    throwaway: false,
  };
}
