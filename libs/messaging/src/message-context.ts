import { platformRejection, Rejection, type AnyContract, type Language } from '@jogakbo/contract';
import { BaseRpcContext } from '@nestjs/microservices';
import type { Caller } from './call-context.ts';
import type { Incoming } from './decoding.ts';

const notFound = () => platformRejection('not-found', 'there is no such thing');

/** The signed-in member (`Caller`) on whose behalf a handler works, with the checks that handlers need. */
export class CallingMember {
  #hasCheckedOwnership = false;

  constructor(private readonly caller: Caller) {}

  /** True once the handler has checked the owner of the resource. */
  get hasCheckedOwnership(): boolean {
    return this.#hasCheckedOwnership;
  }

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
   * Requires that the caller owns the resource. Resources of other members are reported as missing.
   * @throws Rejection `not-found`
   */
  mustOwn(ownerId: string | undefined): void {
    this.#hasCheckedOwnership = true;
    if (ownerId !== this.memberId) throw notFound();
  }
}

/** The second argument of a handler. */
export class MessageContext extends BaseRpcContext<[Incoming]> {
  readonly #caller: CallingMember | undefined;

  /** @param input the message's data after parsing with the contract's schema: defaults added, texts normalised */
  constructor(
    readonly contract: AnyContract,
    readonly incoming: Incoming,
    readonly input: unknown = incoming.data,
  ) {
    super([incoming]);
    const { caller } = incoming.callContext;
    this.#caller = caller && new CallingMember(caller);
  }

  /** @throws Rejection `unauthenticated` if the message has no member */
  get caller(): CallingMember {
    if (!this.#caller) throw platformRejection('unauthenticated', 'this requires a signed-in member');
    return this.#caller;
  }

  /** The language that the client requested. */
  get language(): Language {
    return this.incoming.callContext.language;
  }

  /** The client address of the original request; undefined if no client request caused the message. */
  get address(): string | undefined {
    return this.incoming.callContext.address;
  }

  /**
   * Guards contracts with access `owner`: a handler that did not check the owner causes a fault instead of a data leak.
   * Calls between services have no member and are exempt.
   */
  assertOwnershipWasChecked(): void {
    if (this.#isOwnersOnly && !this.#caller!.hasCheckedOwnership)
      throw new Error(`${this.contract.name} answered without caller.mustOwn()`);
  }

  /**
   * Returns the error that the caller may see. With access `owner` every `not-found` is the same, in whichever service it
   * was thrown: its text must not reveal that a resource of another member exists.
   */
  toVisibleError(error: unknown): unknown {
    const isRevealing = this.#isOwnersOnly && error instanceof Rejection && error.code === 'not-found';
    return isRevealing ? notFound() : error;
  }

  get #isOwnersOnly(): boolean {
    const { contract } = this;
    return contract.kind !== 'event' && contract.access === 'owner' && this.#caller !== undefined;
  }
}
