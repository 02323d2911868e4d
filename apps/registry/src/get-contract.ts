import { platformRejection, type Body } from '@jogakbo/contract';
import { GetContract } from '@jogakbo/contracts-registry';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { ContractHistory } from './contract-history.ts';
import { Directory } from './directory.ts';

@Controller()
export class GetContractHandler {
  constructor(
    private readonly history: ContractHistory,
    private readonly directory: Directory,
  ) {}

  @Handles(GetContract)
  async handle({ service, hash }: Body<typeof GetContract>) {
    // A live contract is known before it is recorded, and also while the database is unavailable.
    const live = this.directory.entries.find(
      (one) => one.announcement.service === service && one.hash === hash,
    );
    const recorded = await this.history.findByHash(service, hash).catch((error: unknown) => {
      if (!live) throw error;
      return undefined;
    });
    const contract = live?.announcement.contract ?? recorded?.contract;
    if (!contract) throw platformRejection('not-found', 'no such contract was ever announced');
    return { service, hash, versions: recorded?.versions ?? [], contract };
  }
}
