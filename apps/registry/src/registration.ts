import type { Announcement, ServiceDescription } from '@jogakbo/contract';
import { KnownGrants } from '@jogakbo/messaging';
import { DatabaseSettings, PlatformSettings } from '@jogakbo/service';
import {
  DeniedAddress,
  toEndpoint,
  toEndpoints,
  UpstreamAddresses,
} from '@jogakbo/service/upstream-addresses';
import {
  BadRequestException,
  ConflictException,
  ForbiddenException,
  HttpException,
  Injectable,
  Logger,
  type OnModuleInit,
} from '@nestjs/common';
import { z } from 'zod';
import { ContractHistory } from './contract-history.ts';
import type { Credential } from './credentials.ts';
import { Directory, type Entry, type RememberedChange } from './directory.ts';
import { Instance, getStatus, buildUrl } from './eureka-instance.ts';
import { BadMetadata, findConflict, buildContract, findUngranted, listRoutes } from './foreign-routes.ts';
import { RegistrationLimits } from './registration-limits.ts';
import { RegistrySettings } from './settings.ts';

const toName = (app: string, instanceId: string) => `eureka:${app.toUpperCase()}:${instanceId}`;

/** Tolerance for late renewals. */
const slack = 1.1;

/** The registration of an external instance. */
export const toInstance = ({ announcement }: RememberedChange['entry']): Instance =>
  announcement.registration as Instance;

/** The permissions of a registration. */
type Grant = Pick<Credential, 'app' | 'routes' | 'networks'>;

/** Registers external instances, and announces them on the bus. */
@Injectable()
export class Registration implements OnModuleInit {
  readonly #logger = new Logger('Registration');
  /** The newest contract of each service of the store, also while it has no instances. */
  readonly #own = new Map<string, { contract: ServiceDescription; startedAt: string }>();
  readonly #addresses: UpstreamAddresses;
  /** Time of the last forwarded renewal. */
  readonly #renewedAt = new WeakMap<Announcement, number>();

  constructor(
    private readonly directory: Directory,
    private readonly history: ContractHistory,
    private readonly limits: RegistrationLimits,
    private readonly settings: RegistrySettings,
    private readonly grants: KnownGrants,
    { rabbitmqUrl }: PlatformSettings,
    { databaseUrl }: DatabaseSettings,
  ) {
    const backing = [rabbitmqUrl, databaseUrl].map(toEndpoint);
    this.#addresses = new UpstreamAddresses(
      () => [...settings.deniedUpstreams, ...backing],
      () => toEndpoints(directory.own),
    );
    directory.onChange(({ entry: { announcement } }) => {
      if (!announcement.upstream) this.#remember(announcement);
    });
  }

  async onModuleInit(): Promise<void> {
    try {
      (await this.history.findNewestOwn()).forEach((known) => this.#remember(known));
    } catch (error) {
      this.#logger.warn(
        `only routes of live services are protected, because the history cannot be read: ${(error as Error).message}`,
      );
    }
  }

  #remember({ contract, startedAt }: { contract: ServiceDescription; startedAt: string }): void {
    const known = this.#own.get(contract.service);
    if (!known || known.startedAt <= startedAt) this.#own.set(contract.service, { contract, startedAt });
  }

  find(app: string, instanceId: string): Entry | undefined {
    return this.directory.find(toName(app, instanceId));
  }

  /** @param body of the HTTP request @throws HttpException */
  async register(grant: Grant, body: unknown): Promise<void> {
    this.limits.countChange(grant.app);
    const read = z.object({ instance: Instance }).safeParse(body);
    if (!read.success) {
      const problems = read.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
      throw new BadRequestException(problems.join('; '));
    }
    const { instance } = read.data;
    if (instance.app.toLowerCase() !== grant.app) {
      throw new BadRequestException(`instance.app: is ${instance.app}, but the URL names ${grant.app}`);
    }
    const instanceId = instance.instanceId ?? instance.hostName;
    const known = this.find(grant.app, instanceId);
    // The status set by an operator survives a new registration.
    const overriddenStatus = (known && toInstance(known).overriddenStatus) ?? instance.overriddenStatus;
    const present = this.directory.getForeign(grant.app).map(({ announcement }) => announcement.instance);
    await this.limits.admit(grant.app, toName(grant.app, instanceId), present, () =>
      this.#announce({ ...instance, instanceId, overriddenStatus }, known, grant),
    );
  }

  /** Changes a registered instance. @throws HttpException */
  async change(instance: Instance, known: Entry, grant: Grant): Promise<void> {
    this.limits.countChange(grant.app);
    await this.#announce(instance, known, grant);
  }

  async #announce(instance: Instance, known: Entry | undefined, grant: Grant): Promise<void> {
    const contract = this.#describe(instance, grant);
    const url = buildUrl(instance);
    await this.#mustBePermitted(url, grant);
    const { renewalIntervalInSecs, durationInSecs } = instance.leaseInfo;
    await this.directory.announce({
      service: grant.app,
      contract,
      upstream: 'http',
      url,
      networks: grant.networks,
      madeQueues: [],
      version: instance.metadata['version'] ?? '0',
      instance: toName(instance.app, instance.instanceId),
      state: getStatus(instance) === 'UP' ? 'up' : 'out',
      startedAt: known?.announcement.startedAt ?? new Date().toISOString(),
      // An instance expires after three intervals: after three missed renewals, or earlier if its lease is shorter.
      interval:
        slack * Math.max(this.settings.shortestRenewal, Math.min(renewalIntervalInSecs, durationInSecs / 3)),
      registration: instance,
    });
  }

  /** Forwards a renewal unless the last one is recent. @throws HttpException if the credential no longer permits the instance */
  async renew(entry: Entry, grant: Grant): Promise<void> {
    mustBeGranted(listRoutes(entry.announcement.contract), grant);
    if (String(entry.announcement.networks) !== String(grant.networks))
      return this.change(toInstance(entry), entry, grant);
    const now = performance.now();
    const since = now - (this.#renewedAt.get(entry.announcement) ?? -Infinity);
    if (since < this.settings.shortestRenewal * 500) return;
    this.#renewedAt.set(entry.announcement, now);
    await this.directory.renew(entry);
  }

  async cancel({ announcement }: Entry): Promise<void> {
    await this.directory.announce({ ...announcement, state: 'draining' });
  }

  /** Cancels instances that a changed credential no longer permits. @param grant undefined after its removal */
  async apply(app: string, grant: Grant | undefined): Promise<void> {
    for (const entry of this.directory.getForeign(app)) {
      try {
        if (!grant) await this.cancel(entry);
        else await this.#announce(toInstance(entry), entry, grant);
      } catch (error) {
        if (!(error instanceof HttpException)) throw error;
        await this.cancel(entry);
      }
    }
  }

  /** Whether a service of the store has this name. */
  isOwnService(app: string): boolean {
    const { hasLoginPerService, current } = this.grants;
    return hasLoginPerService ? current.isService(app) : this.#own.has(app);
  }

  /**
   * Describes a conflict with a route of the store's services; undefined if there is none. With a broker login per service,
   * only routes that the deploy step registered count: an announcement cannot take a route from an app.
   */
  findConflict(routes: readonly string[]): string | undefined {
    const { hasLoginPerService, current } = this.grants;
    if (hasLoginPerService) {
      // Pages own every path and method below their prefix.
      const registered = [...current.routes.keys()].map((route) => route.replace(/^\w+ (.*\/\*)$/, '* $1'));
      const conflict = findConflict(routes, registered);
      return (
        conflict && `"${conflict[0]}" conflicts with "${conflict[1]}", registered by a service of this store`
      );
    }
    const newest = [...this.#own.values()].map(({ contract }) => contract);
    for (const contract of [...newest, ...this.directory.own.map((one) => one.contract)]) {
      const conflict = findConflict(routes, listRoutes(contract));
      if (conflict)
        return `"${conflict[0]}" conflicts with "${conflict[1]}", announced by ${contract.service}`;
    }
    return undefined;
  }

  #describe(instance: Instance, grant: Grant): ServiceDescription {
    if (this.isOwnService(grant.app))
      throw new ConflictException(`app: ${grant.app} is a service of this store`);
    try {
      const contract = buildContract(grant.app, instance.metadata, this.settings.roles);
      const routes = listRoutes(contract);
      const conflict = this.findConflict(routes);
      if (conflict) throw new ConflictException(`instance.metadata.routes: ${conflict}`);
      mustBeGranted(routes, grant);
      return contract;
    } catch (error) {
      if (error instanceof BadMetadata) throw new BadRequestException(`instance.metadata.${error.message}`);
      throw error;
    }
  }

  async #mustBePermitted(url: string, { app, networks }: Grant): Promise<void> {
    const endpoint = toEndpoint(url);
    try {
      await this.#addresses.resolve(endpoint, networks);
    } catch (error) {
      if (error instanceof DeniedAddress) throw new ForbiddenException(`instance: ${app}: ${error.message}`);
      throw new BadRequestException(`instance.hostName: ${endpoint.host} cannot be resolved`);
    }
  }
}

/** @throws ForbiddenException */
function mustBeGranted(routes: readonly string[], { app, routes: granted }: Grant): void {
  const route = findUngranted(routes, granted);
  if (route === undefined) return;
  throw new ForbiddenException(
    `instance.metadata.routes: "${route}" is not granted to ${app}: grant it with jogakbo registration add ${app}`,
  );
}
