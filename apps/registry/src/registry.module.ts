import { registry } from '@jogakbo/contracts-registry';
import { consistencyMigrations } from '@jogakbo/consistency';
import { Service } from '@jogakbo/service';
import { ContractVersions1700000004000 } from '../migrations/1700000004000-contract-versions.ts';
import { Registrations1700000004100 } from '../migrations/1700000004100-registrations.ts';
import { ContractHistory } from './contract-history.ts';
import { ContractsController } from './contracts.controller.ts';
import { Credentials } from './credentials.ts';
import { Directory } from './directory.ts';
import { EurekaController } from './eureka.controller.ts';
import { GetContractHandler } from './get-contract.ts';
import { InstancesController } from './instances.controller.ts';
import { ListContractVersionsHandler } from './list-contract-versions.ts';
import { ListInstancesHandler } from './list-instances.ts';
import { ListRegistrationsHandler } from './list-registrations.ts';
import { Registration } from './registration.ts';
import { RegistrationLimits } from './registration-limits.ts';
import { RemoveRegistrationHandler } from './remove-registration.ts';
import { SetRegistrationHandler } from './set-registration.ts';
import { RegistrySettings } from './settings.ts';

@Service({
  contract: registry,
  settings: RegistrySettings,
  migrations: [...consistencyMigrations, ContractVersions1700000004000, Registrations1700000004100],
  handlers: [
    InstancesController,
    ContractsController,
    EurekaController,
    ListInstancesHandler,
    ListContractVersionsHandler,
    GetContractHandler,
    ListRegistrationsHandler,
    SetRegistrationHandler,
    RemoveRegistrationHandler,
  ],
  providers: [Directory, ContractHistory, Registration, RegistrationLimits, Credentials],
})
export class RegistryModule {}
