import type { AnyEvent, AnyRequest, ServiceContract } from '@jogakbo/contract';
import { Module, type Provider, type Type } from '@nestjs/common';
import type { Projection, Saga } from '@jogakbo/consistency';
import type { MixedList, MigrationInterface, EntitySchema } from 'typeorm';
import { DatabaseSettings, PlatformSettings, type AnySettings } from './settings.ts';

/** A migration that TypeORM runs in the deploy step, while instances of the version before are running. */
export interface MigrationClass {
  new (): MigrationInterface;
  /**
   * For a migration that removes something: the version of the service since which nothing uses that, such as `1.4.0` or
   * `0.1.0-1f2e3d4c5b`. The deploy step refuses the migration while an earlier version is running.
   */
  readonly unusedSince?: string;
}

/** The name under which TypeORM records a migration. */
export const getMigrationName = (Migration: MigrationClass): string => new Migration().name ?? Migration.name;

/** The declaration of a service. */
export interface ServiceOptions {
  /** All public contracts of the service. */
  contract: ServiceContract;
  /** Requests to other services, including those of its sagas. It can send no others. */
  calls?: AnyRequest[];
  /**
   * Events of other services that each instance receives as soft state, at most once and while it runs (`Listener`).
   * Handlers, sagas and projections receive events from the queue of the service, at least once.
   */
  listensTo?: AnyEvent[];
  /** True for the gateway, which may call every request that a service offers over HTTP. */
  isGateway?: boolean;
  /** Classes with `@Controller()` whose methods carry `@Handles(Contract)`, one use case each. */
  handlers?: Type[];
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- sagas of one list differ in key and state
  sagas?: Saga<any, any>[];
  /** Read models; they need the tables of `eventStoreMigrations`. */
  projections?: Projection[];
  providers?: Provider[];
  settings?: AnySettings;
  /** Listing migrations gives the service a database; `consistencyMigrations` come first. */
  migrations?: MigrationClass[];
  // eslint-disable-next-line @typescript-eslint/no-unsafe-function-type -- TypeORM's own type of an entity class
  entities?: MixedList<Function | EntitySchema>;
}

const declared = new WeakMap<object, ServiceOptions>();

/** Declares a service. `serve(TheModule)` runs it; `libs/testing` runs it alone. */
export function Service(options: ServiceOptions): ClassDecorator {
  return (target) => {
    declared.set(target, options);
    Module({ controllers: options.handlers ?? [], providers: options.providers ?? [] })(target);
  };
}

/** Returns the options of `@Service`. @throws Error without that decorator */
export function serviceOptions(module: Type): ServiceOptions {
  const options = declared.get(module);
  if (!options) throw new Error(`${module.name} is not declared with @Service`);
  return options;
}

/** The settings classes of a service: those of the platform first, then its own ones. */
export function listSettingsClasses(module: Type): AnySettings[] {
  const { settings, migrations } = serviceOptions(module);
  return [PlatformSettings, ...(migrations ? [DatabaseSettings] : []), ...(settings ? [settings] : [])];
}
