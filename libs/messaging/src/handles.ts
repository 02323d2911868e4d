import type { AnyContract, HandlerOutput, AnyRequest, Body } from '@jogakbo/contract';
import { Catch, type RpcExceptionFilter, UseFilters } from '@nestjs/common';
import { Ctx, MessagePattern, Payload } from '@nestjs/microservices';
import { throwError } from 'rxjs';

type Result<C> = C extends AnyRequest ? HandlerOutput<C> | Promise<HandlerOutput<C>> : void | Promise<void>;

/** Passes errors to the transport: Nest would replace those that it does not know, among them rejections. */
class PassErrors implements RpcExceptionFilter {
  catch(error: unknown) {
    return throwError(() => error);
  }
}
// Not as a decorator: Node runs this file without a build where a service is not built.
Catch()(PassErrors);
const passErrors = new PassErrors();

const handled = new WeakMap<object, AnyContract[]>();

/** The contracts that the methods of a class handle. */
export const getHandledContracts = (handler: { prototype: object }): readonly AnyContract[] =>
  handled.get(handler.prototype) ?? [];

/**
 * Marks the method that handles a contract. The compiler checks the method against the contract: the first parameter is
 * the parsed input, the result is the output. It cannot check the second parameter, because `UnitOfWork` belongs to
 * libs/consistency: a `UnitOfWork` for commands and events in a service with a database, else a `MessageContext`.
 */
export function Handles<C extends AnyContract>(contract: C) {
  return <H extends (body: Body<C>, context: never) => Result<C>>(
    target: object,
    key: string,
    descriptor: TypedPropertyDescriptor<H>,
  ): void => {
    MessagePattern(contract.name, { contract })(target, key, descriptor);
    Payload()(target, key, 0);
    Ctx()(target, key, 1);
    UseFilters(passErrors)(target, key, descriptor);
    handled.set(target, [...(handled.get(target) ?? []), contract]);
  };
}
