import { platformRejection, Rejection, type AnyContract, type Language } from '@jogakbo/contract';
import { BaseRpcContext } from '@nestjs/microservices';
import type { Caller } from './call-context.ts';
import type { Incoming } from './wire.ts';

const notFound = () => platformRejection('not-found', 'there is no such thing');

/** The member on whose behalf a handler works. */
export class CallingMember {
  /** True once the handler has looked whose the thing is. */
  ownershipChecked = false;

  constructor(private readonly caller: Caller) {}

  get memberId(): string {
    return this.caller.memberId;
  }

  get sessionId(): string | undefined {
    return this.caller.sessionId;
  }

  has(role: string): boolean {
    return this.caller.roles.includes(role);
  }

  /**
   * Refuses unless the thing is the caller's. What is somebody else's does not exist for the caller.
   * @throws Rejection `not-found`
   */
  mustOwn(ownerId: string | undefined): void {
    this.ownershipChecked = true;
    if (ownerId !== this.memberId) throw notFound();
  }
}

/** What a handler is given beside the body. */
export class MessageContext extends BaseRpcContext<[Incoming]> {
  readonly #caller: CallingMember | undefined;

  /** @param input the message's data as the contract's schema read it: defaults added, texts normalised */
  constructor(
    readonly contract: AnyContract,
    readonly incoming: Incoming,
    readonly input: unknown = incoming.data,
  ) {
    super([incoming]);
    const { caller } = incoming.context;
    this.#caller = caller && new CallingMember(caller);
  }

  /** @throws Rejection `unauthenticated` where no member stands behind the message */
  get caller(): CallingMember {
    if (!this.#caller) throw platformRejection('unauthenticated', 'this needs a member');
    return this.#caller;
  }

  /** The language that the shopper asked for. */
  get language(): Language {
    return this.incoming.context.language;
  }

  /** Where the request came from that it all began with; undefined where the house itself began it. */
  get address(): string | undefined {
    return this.incoming.context.address;
  }

  /**
   * A contract with access `owner` promises that only the owner gets an answer, and only its handler can tell who that
   * is. One that forgot to look is a fault, not a leak. Calls between services carry no member and are not asked.
   */
  mustHaveCheckedOwnership(): void {
    if (this.#isOwnersOnly && !this.#caller!.ownershipChecked)
      throw new Error(`${this.contract.name} answered without caller.mustOwn()`);
  }

  /**
   * The error as the caller may see it. Behind access `owner` every `not-found` is the same, in whichever service it
   * arose: its text must not tell a thing of another member from one that does not exist.
   */
  toCaller(error: unknown): unknown {
    const isTelling = this.#isOwnersOnly && error instanceof Rejection && error.code === 'not-found';
    return isTelling ? notFound() : error;
  }

  get #isOwnersOnly(): boolean {
    const { contract } = this;
    return contract.kind !== 'event' && contract.access === 'owner' && this.#caller !== undefined;
  }
}
