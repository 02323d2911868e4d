import { Controller, Get, NotFoundException, Param } from '@nestjs/common';
import { ContractHistory } from './contract-history.ts';

/** Current and past contracts of services. */
@Controller()
export class ContractsController {
  constructor(private readonly history: ContractHistory) {}

  @Get('contracts/:service')
  async versions(@Param('service') service: string) {
    const versions = await this.history.listVersions(service);
    if (versions.length === 0) throw new NotFoundException(`${service} was never announced`);
    return { service, versions };
  }

  @Get('contracts/:service/:version')
  async version(@Param('service') service: string, @Param('version') version: string) {
    const found = await this.history.findContract(service, version);
    if (!found) throw new NotFoundException(`${service} ${version} was never announced`);
    return { service, ...found };
  }
}
