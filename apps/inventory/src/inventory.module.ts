import { inventory } from '@jogakbo/contracts-inventory';
import { consistencyMigrations } from '@jogakbo/consistency';
import { Service } from '@jogakbo/service';
import { Stock1700000001000 } from '../migrations/1700000001000-stock.ts';
import { CommitStockHandler } from './commit-stock.ts';
import { ExpireReservationHandler } from './expire-reservation.ts';
import { GetStockHandler } from './get-stock.ts';
import { OpenStockHandler } from './open-stock.ts';
import { ReceiveStockHandler } from './receive-stock.ts';
import { ReserveStockHandler } from './reserve-stock.ts';
import { ReturnStockHandler } from './return-stock.ts';
import { InventorySettings } from './settings.ts';

@Service({
  contract: inventory,
  settings: InventorySettings,
  migrations: [...consistencyMigrations, Stock1700000001000],
  handlers: [
    GetStockHandler,
    OpenStockHandler,
    ReceiveStockHandler,
    ReserveStockHandler,
    CommitStockHandler,
    ReturnStockHandler,
    ExpireReservationHandler,
  ],
})
export class InventoryModule {}
