// One version of the shop in its own process. SERVICE_VERSION is the version.
import { setTimeout as sleep } from 'node:timers/promises';
import { consistencyMigrations, type UnitOfWork } from '@jogakbo/consistency';
import type { Body } from '@jogakbo/contract';
import { Handles } from '@jogakbo/messaging';
import { serve, Service } from '@jogakbo/service';
import { Controller } from '@nestjs/common';
import { type MigrationInterface, type QueryRunner } from 'typeorm';
import { Look, Pack, Sell, shop } from './contract.ts';

const version = process.env['SERVICE_VERSION']!;

class Tables1700000001000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('CREATE TABLE sold (id text NOT NULL, version text NOT NULL)');
  }
  async down(): Promise<void> {}
}

@Controller()
class ShopHandler {
  @Handles(Look)
  look() {
    return { version };
  }

  @Handles(Sell)
  async sell({ id, takes }: Body<typeof Sell>, { tx }: UnitOfWork) {
    await tx.query('INSERT INTO sold VALUES ($1, $2)', [id, version]);
    await sleep(takes);
    return { version };
  }

  @Handles(Pack)
  async pack({ id, failing }: Body<typeof Pack>, { tx, incoming }: UnitOfWork) {
    if (incoming.failures < failing) throw new Error('simulated failure');
    await tx.query('INSERT INTO sold VALUES ($1, $2)', [id, version]);
  }
}

/** A command that only the newest version handles. */
const isNewest = version === '1.4.0';
const Wrap = isNewest ? shop.command('wrap', { input: Pack.input }) : Pack;

@Controller()
class WrapHandler {
  @Handles(Wrap)
  async wrap({ id }: Body<typeof Pack>, { tx }: UnitOfWork) {
    await tx.query('INSERT INTO sold VALUES ($1, $2)', [id, version]);
  }
}

@Service({
  contract: shop,
  handlers: isNewest ? [ShopHandler, WrapHandler] : [ShopHandler],
  migrations: [...consistencyMigrations, Tables1700000001000],
})
class ShopModule {}

await serve(ShopModule);
