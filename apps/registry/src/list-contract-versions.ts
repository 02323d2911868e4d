import { platformRejection, type Body } from '@jogakbo/contract';
import { ListContractVersions } from '@jogakbo/contracts-registry';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { ContractHistory } from './contract-history.ts';

@Controller()
export class ListContractVersionsHandler {
  constructor(private readonly history: ContractHistory) {}

  @Handles(ListContractVersions)
  async handle({ service }: Body<typeof ListContractVersions>) {
    const items = await this.history.listVersions(service);
    if (items.length === 0) throw platformRejection('not-found', 'no such service was ever announced');
    return { items };
  }
}
