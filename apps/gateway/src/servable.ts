import { renderAsyncApi, renderOpenApi, type ServiceDescription } from '@jogakbo/contract';
import { RouteTable } from './routes.ts';

/** Results by contract. Instances with the same contract share the object. */
const known = new WeakMap<ServiceDescription, string | undefined>();

/**
 * The reason why routes and documents cannot be built from a contract; undefined if they can. Each contract is checked on
 * its own, so that an invalid one does not affect other services.
 */
export function findUnservableReason(contract: ServiceDescription): string | undefined {
  if (!known.has(contract)) known.set(contract, attempt(contract));
  return known.get(contract);
}

function attempt(contract: ServiceDescription): string | undefined {
  const info = { title: 'x', version: '1', description: 'x' };
  try {
    new RouteTable([contract]);
    JSON.stringify(
      renderOpenApi([contract], { ...info, serverUrl: '/', license: { name: 'x', identifier: 'x' } }),
    );
    JSON.stringify(renderAsyncApi([contract], { ...info, license: { name: 'x' } }));
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
