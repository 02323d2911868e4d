import type { Body } from '@jogakbo/contract';
import { RemoveRegistration } from '@jogakbo/contracts-registry';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { Registration } from './registration.ts';

@Controller()
export class RemoveRegistrationHandler {
  constructor(private readonly registration: Registration) {}

  @Handles(RemoveRegistration)
  async handle({ app }: Body<typeof RemoveRegistration>, { tx }: UnitOfWork) {
    const rows = (await tx.query('DELETE FROM registration WHERE app = $1 RETURNING app', [
      app,
    ])) as unknown[][];
    if (rows[0]!.length === 0) throw RemoveRegistration.reject('unknown-app', `${app} has no registration`);
    await this.registration.apply(app, undefined);
  }
}
