import { randomUUIDv7 } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type AnyEvent } from '@jogakbo/contract';
import { toConnectOptions } from '@jogakbo/messaging/address';
import { encodeEvent, getSubject } from '@jogakbo/messaging/encoding';
import { exchanges } from '@jogakbo/messaging/topology';
import { nearestName } from '@jogakbo/service/nearest-name';
import { createExample } from '@jogakbo/testing/examples';
import { connect } from 'amqplib';
import { listContractFolders, loadContract } from '../alone/contracts.ts';
import { buildLoginUrl } from '../backing/rabbitmq/deploy-step.ts';
import { audit } from '../supervisor/audit-log.ts';
import { type RunRecord } from '../supervisor/run-record.ts';
import { readSecrets, type StateFolder } from '../supervisor/state.ts';
import { findRunningStore, openRunningState } from '../supervisor/running-state.ts';
import { getStoreBrokerUrl } from '../supervisor/store-access.ts';
import { CliError, toMessage, UsageError } from '../terminal/cli-error.ts';
import { toPrintableJson } from '../terminal/printable.ts';

export interface EmitOptions {
  data?: string;
}

/** Finds the contract of an event. @throws UsageError */
export async function findEvent(name: string): Promise<AnyEvent> {
  const contract = await loadContract(name.split('.')[0]!);
  if (!contract) {
    throw new UsageError(`There is no contract of a service called ${name.split('.')[0]}.`, {
      remedies: [`the services are: ${listContractFolders().join(', ')}`],
    });
  }
  const events = [...contract.contracts.values()].filter((one) => one.kind === 'event');
  const found = events.find((one) => one.name === name);
  if (found) return found;
  const names = events.map((one) => one.name);
  const meant = nearestName(name, names);
  throw new UsageError(`${contract.name} has no event called ${name}.`, {
    remedies: [
      ...(meant ? [`did you mean ${meant}?`] : []),
      names.length > 0 ? `its events are: ${names.join(', ')}` : `${contract.name} publishes no events`,
    ],
  });
}

/** Reads --data: JSON, or `-` for stdin. @throws UsageError */
function parseData(text: string): Record<string, unknown> {
  const json = text === '-' ? readFileSync(0, 'utf8') : text;
  try {
    const value: unknown = JSON.parse(json);
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>;
  } catch (error) {
    throw new UsageError(`--data is not JSON: ${toMessage(error)}.`);
  }
  throw new UsageError('--data must be a JSON object.');
}

/**
 * The data of an event: an example, in which the given fields replace those of the same name.
 * @throws UsageError with each field that does not fit the contract
 */
export function buildEventData(event: AnyEvent, given: Record<string, unknown> = {}): unknown {
  const example = createExample(event.input, event.name) as Record<string, unknown>;
  const unknown = Object.keys(given).filter((field) => !Object.hasOwn(example, field));
  const parsed = event.input.safeParse({ ...example, ...given });
  const issues = [
    ...unknown.map((field) => `${field}: unknown field`),
    ...(parsed.error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`),
  ];
  if (parsed.success && issues.length === 0) return parsed.data;
  throw new UsageError(`The data does not fit ${event.name}.`, {
    details: issues,
    remedies: [`its fields are: ${Object.keys(example).join(', ')}`],
  });
}

/** The broker URL with the login of the service that owns the event: receivers accept it from no other one. */
function getLoginUrl(state: StateFolder, { broker }: RunRecord, service: string): string {
  const url = getStoreBrokerUrl(state);
  const password = readSecrets(state)?.brokerPasswords?.[service];
  return password ? buildLoginUrl({ ...broker!, url }, service, password) : url;
}

/** @returns whether a queue takes it @throws CliError */
async function publish(url: string, event: AnyEvent, id: string, data: unknown): Promise<boolean> {
  const { name, service } = event;
  const connection = await connect(url, {
    ...toConnectOptions(url),
    noDelay: true,
    clientProperties: { connection_name: 'jogakbo emit' },
  });
  connection.on('error', () => undefined);
  try {
    const channel = await connection.createConfirmChannel();
    channel.on('error', () => undefined);
    let isRouted = true;
    channel.on('return', () => (isRouted = false));
    const subject = getSubject(event, data);
    const { content, options } = encodeEvent(
      { id, name, source: service, subject, time: new Date(), data },
      {},
    );
    const userId = decodeURIComponent(new URL(url).username);
    await new Promise<void>((resolve, reject) => {
      channel.on('close', () => reject(new Error('the broker refused it')));
      channel.publish(
        exchanges.events(name),
        name,
        content,
        { ...options, userId, mandatory: true },
        (error) => (error ? reject(error as Error) : resolve()),
      );
    });
    return isRouted;
  } catch (error) {
    throw new CliError(`${name} cannot be published: ${toMessage(error)}.`);
  } finally {
    await connection.close().catch(() => undefined);
  }
}

/** `jogakbo emit`: publishes an event in the name of its service, in local mode only. */
export async function emit(name: string, { data: text }: EmitOptions): Promise<number> {
  const event = await findEvent(name);
  const data = buildEventData(event, text === undefined ? undefined : parseData(text));
  const state = openRunningState();
  const run = findRunningStore(state);
  if (!run)
    throw new CliError('Nothing runs here that could receive the event.', {
      remedies: ['start the store:  npm start', 'or one service alone:  npx nx serve <service>'],
    });
  if (!run.localMode)
    throw new CliError('Events can be published by hand in local mode only.', {
      details: ['the store runs with LOCAL_MODE=false: its events must come from its services'],
    });
  const id = randomUUIDv7();
  audit(state, { what: 'emit', service: event.service, ids: [id], event: event.name });
  const isRouted = await publish(getLoginUrl(state, run, event.service), event, id, data);
  console.log(toPrintableJson({ id, event: name, data }));
  if (!isRouted) console.error(`No service receives ${name}.`);
  return isRouted ? 0 : 1;
}
