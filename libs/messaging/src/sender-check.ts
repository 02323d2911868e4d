import type { Incoming } from './decoding.ts';
import { Grants } from './grants.ts';
import type { HandlerTable } from './handler-table.ts';
import { checkSender, UnauthorizedSender, type Origin } from './identity.ts';
import { UnauthorizedSenderLog } from './unauthorized-sender-log.ts';
import type { ConsumedQueue, ServerLogger, ServerOptions } from './server-options.ts';
import { getServiceName, returnsToCommonQueue } from './topology.ts';

const noGrants = new Grants([]);

/** Checks the senders of received messages. With one login for all services every sender is trusted. */
export class SenderCheck {
  readonly #refusals: UnauthorizedSenderLog;

  constructor(
    private readonly options: Pick<ServerOptions, 'service' | 'connection' | 'grants'>,
    private readonly handlers: HandlerTable,
    logger: ServerLogger,
  ) {
    this.#refusals = new UnauthorizedSenderLog(logger);
  }

  /** Whether the sender may send the message. A refused message is logged and counted. */
  isAllowed(source: ConsumedQueue, incoming: Incoming): boolean {
    const { connection } = this.options;
    if (!connection.hasLoginPerService) return true;
    const { pattern, sender } = incoming;
    // A contract that only another version knows belongs to the service in its name.
    const unknown = { kind: source.kind === 'events' ? 'event' : 'unknown', name: pattern };
    const contract = this.handlers.getContract(pattern) ?? { ...unknown, service: getServiceName(pattern) };
    try {
      checkSender(contract, incoming, connection, this.#grants);
      return true;
    } catch (error) {
      if (!(error instanceof UnauthorizedSender)) throw error;
      if (!returnsToCommonQueue(source)) this.#report(source, contract.kind, sender, error.message);
      return false;
    }
  }

  /** Whether the sender of an unreadable message may send any message to the queue. Else it is logged and counted. */
  isAllowedUnread(source: ConsumedQueue, { sender, wasDeadLetteredElsewhere }: Origin): boolean {
    const { connection, service } = this.options;
    const { login, operator } = connection;
    if (!connection.hasLoginPerService) return true;
    const isEvent = source.kind === 'events';
    const isAllowed = isEvent
      ? !wasDeadLetteredElsewhere &&
        this.handlers.contracts.some((one) => one.kind === 'event' && one.service === sender)
      : sender === login || sender === operator || this.#grants.mayCallAny(sender, service);
    const reason = `an unreadable message came from ${sender ?? 'a sender without identity'}`;
    if (!isAllowed && !returnsToCommonQueue(source))
      this.#report(source, isEvent ? 'event' : 'unknown', sender, reason);
    return isAllowed;
  }

  #report({ queue }: ConsumedQueue, kind: string, sender: string | undefined, reason: string): void {
    this.options.connection.reportRefusedMessage(kind);
    this.#refusals.add(sender, { queue, reason });
  }

  /** Returns the message without the member and the client address, unless the gateway sent it: only it may set them. */
  keepMemberOfGateway(incoming: Incoming): Incoming {
    const { sender, isEdited } = incoming;
    if (!this.options.connection.hasLoginPerService) return incoming;
    if (sender !== undefined && this.#grants.isGateway(sender) && !isEdited) return incoming;
    const { caller: _caller, address: _address, ...callContext } = incoming.callContext;
    return { ...incoming, callContext };
  }

  get #grants(): Grants {
    return this.options.grants?.() ?? noGrants;
  }
}
