import { join } from 'node:path';
import { dockerBrokerRuns } from './docker-broker.ts';
import { claimPorts } from './ports.ts';
import { type BrokerPlace, brokerLeftRunning } from './private-broker.ts';
import { type DatabasePlace } from './private-postgres.ts';
import { hasSecrets, keepPorts, keptPorts, openSecrets, type State } from './state.ts';

const brokerPorts = ['amqp', 'management', 'distribution', 'epmd'] as const;

/** Where the private broker of a store lives. One that still runs keeps its ports; otherwise those that are free again. */
export async function brokerPlaceOf(state: State, abort?: AbortSignal): Promise<BrokerPlace> {
  const at = { folder: join(state.folder, 'rabbitmq'), name: `jogakbo-${state.id}` };
  const kept = keptPorts(state);
  const runs = brokerLeftRunning(at) !== undefined || (await dockerBrokerRuns(at));
  const ports = { ...(await claimPorts(brokerPorts, kept)), ...(runs ? kept : {}) };
  keepPorts(state, ports);
  const { broker: password } = openSecrets(state);
  return { ...at, logs: state.logs, password, ports, throwaway: false, abort };
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
    throwaway: false,
  };
}
