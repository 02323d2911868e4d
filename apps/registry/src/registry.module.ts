import { registry } from '@jogakbo/contracts-registry';
import { consistencyMigrations } from '@jogakbo/consistency';
import { Service } from '@jogakbo/service';
import { ContractVersions1700000004000 } from '../migrations/1700000004000-contract-versions.ts';
import { Registrations1700000004100 } from '../migrations/1700000004100-registrations.ts';
import { ContractHistory } from './contract-history.ts';
import { Credentials } from './credentials.ts';
import { Directory } from './directory.ts';
import { Eureka } from './eureka.ts';
import { ListRegistrationsHandler } from './list-registrations.ts';
import { ReadContracts } from './read-contracts.ts';
import { ReadInstances } from './read-instances.ts';
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
    ReadInstances,
    ReadContracts,
    Eureka,
    ListRegistrationsHandler,
    SetRegistrationHandler,
    RemoveRegistrationHandler,
  ],
  providers: [Directory, ContractHistory, Registration, RegistrationLimits, Credentials],
})
export class RegistryModule {}
