import { renderAsyncApi, renderOpenApi, type ServiceDescription } from '@jogakbo/contract';
import { RouteTable } from './routes.ts';

/** By contract: why nothing can be made of it, or undefined. Instances with the same contract share the object. */
const known = new WeakMap<ServiceDescription, string | undefined>();

/**
 * Why routes and documents cannot be made of an announced contract; undefined where they can. Each contract is tried on its
 * own, so that one that cannot be served costs no other service anything.
 */
export function whyNotServable(contract: ServiceDescription): string | undefined {
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
