import type { Body } from '@jogakbo/contract';
import { SetRegistration } from '@jogakbo/contracts-registry';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Network } from '@jogakbo/service/upstream-addresses';
import { Controller } from '@nestjs/common';
import { credentialColumns, toRegistration, type Credential } from './credentials.ts';
import { BadMetadata, findConflict, mustBeRoutes } from './foreign-routes.ts';
import { Registration } from './registration.ts';

@Controller()
export class SetRegistrationHandler {
  constructor(private readonly registration: Registration) {}

  /** The table lock serializes changes, so that two apps never hold the same route. */
  @Handles(SetRegistration)
  async handle(
    { app, secretHash, routes, networks }: Body<typeof SetRegistration>,
    { tx, caller }: UnitOfWork,
  ) {
    this.#assertValid(app, routes, networks);
    await tx.query('LOCK TABLE registration IN SHARE ROW EXCLUSIVE MODE');
    const others = (await tx.query(`SELECT ${credentialColumns} FROM registration WHERE app <> $1`, [
      app,
    ])) as Credential[];
    for (const other of others) {
      const conflict = findConflict(routes, other.routes);
      if (conflict)
        throw createRouteTaken(`"${conflict[0]}" conflicts with "${conflict[1]}" of ${other.app}`);
    }
    const [row] = (await tx.query(
      `INSERT INTO registration (app, secret_hash, routes, networks, changed_by) VALUES ($1, $2, $3, $4, $5)
       ON CONFLICT (app) DO UPDATE SET secret_hash = $2, routes = $3, networks = $4, changed_by = $5, changed_at = now()
       RETURNING ${credentialColumns}`,
      [app, secretHash, routes, networks, caller.memberId],
    )) as [Credential];
    await this.registration.apply(app, row);
    return toRegistration(row);
  }

  #assertValid(app: string, routes: string[], networks: string[]): void {
    if (this.registration.isOwnService(app))
      throw SetRegistration.reject('app-taken', `${app} is a service of this store`);
    for (const network of networks) {
      const { error } = Network.safeParse(network);
      if (error) throw createInvalid('networks', `"${network}" ${error.issues[0]!.message}`);
    }
    try {
      mustBeRoutes(routes);
    } catch (error) {
      if (error instanceof BadMetadata) throw createInvalid('routes', error.message);
      throw error;
    }
    const conflict = this.registration.findConflict(routes);
    if (conflict) throw createRouteTaken(conflict);
  }
}

const createRouteTaken = (message: string) =>
  SetRegistration.reject('route-taken', message, [{ path: 'routes', message }]);
const createInvalid = (path: string, message: string) =>
  SetRegistration.reject('invalid-registration', message, [{ path, message }]);
