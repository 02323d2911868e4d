import type { Incoming } from './decoding.ts';
import { Grants } from './grants.ts';
import type { HandlerTable } from './handler-table.ts';
import { mustBeAllowed, UnauthorizedSender } from './identity.ts';
import { RefusalLog } from './refusal-log.ts';
import type { ConsumedQueue, ServerLogger, ServerOptions } from './server-options.ts';
import { getOwner } from './topology.ts';

const noGrants = new Grants([]);

/** Checks the senders of received messages. With one login for all services every sender is trusted. */
export class SenderCheck {
  readonly #refusals: RefusalLog;

  constructor(
    private readonly options: Pick<ServerOptions, 'connection' | 'grants'>,
    private readonly handlers: HandlerTable,
    logger: ServerLogger,
  ) {
    this.#refusals = new RefusalLog(logger);
  }

  /** Whether the sender may send the message. A refused message is logged and reported. */
  isAllowed({ kind, queue }: ConsumedQueue, incoming: Incoming): boolean {
    const { connection } = this.options;
    if (connection.operator === undefined) return true;
    const { pattern, sender } = incoming;
    // A contract that only another version knows belongs to the service in its name.
    const unknown = { kind: kind === 'events' ? 'event' : 'unknown', name: pattern };
    const contract = this.handlers.getContract(pattern) ?? { ...unknown, service: getOwner(pattern) };
    try {
      mustBeAllowed(contract, incoming, connection, this.#grants);
      return true;
    } catch (error) {
      if (!(error instanceof UnauthorizedSender)) throw error;
      connection.rejectUnauthorizedSender(contract.kind);
      this.#refusals.add(sender, { queue, reason: error.message });
      return false;
    }
  }

  /** Removes the member and the client address, unless the gateway sent the message: only it may set them. */
  dropMemberUnlessGateway(incoming: Incoming): void {
    const { sender, isEdited } = incoming;
    if (this.options.connection.operator === undefined) return;
    if (sender !== undefined && this.#grants.isGateway(sender) && !isEdited) return;
    const { caller: _caller, address: _address, ...context } = incoming.context;
    incoming.context = context;
  }

  get #grants(): Grants {
    return this.options.grants?.() ?? noGrants;
  }
}
