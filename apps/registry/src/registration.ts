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

/** The third renewal may be a little late, and still counts. */
const late = 1.1;

/** How an instance that is not on the bus registered. */
export const toInstance = ({ announcement }: RememberedChange['entry']): Instance =>
  announcement.registration as Instance;

/** What a registration must not go beyond. */
type Grant = Pick<Credential, 'app' | 'routes' | 'networks'>;

/** Takes in what is not on the bus, and announces it there. */
@Injectable()
export class Registration implements OnModuleInit {
  readonly #logger = new Logger('Registration');
  /** What the newest instance of each of our own services speaks, also while none of them is there. */
  readonly #ours = new Map<string, { contract: ServiceDescription; startedAt: string }>();
  readonly #addresses: UpstreamAddresses;
  /** When a renewal was passed on the last time. */
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
      () => toEndpoints(directory.ours),
    );
    directory.onChange(({ entry: { announcement } }) => {
      if (!announcement.upstream) this.#remember(announcement);
    });
  }

  async onModuleInit(): Promise<void> {
    try {
      (await this.history.lastOfOurs()).forEach((known) => this.#remember(known));
    } catch (error) {
      this.#logger.warn(
        `only routes of services that are there now are guarded: ${(error as Error).message}`,
      );
    }
  }

  #remember({ contract, startedAt }: { contract: ServiceDescription; startedAt: string }): void {
    const known = this.#ours.get(contract.service);
    if (!known || known.startedAt <= startedAt) this.#ours.set(contract.service, { contract, startedAt });
  }

  find(app: string, instanceId: string): Entry | undefined {
    return this.directory.find(toName(app, instanceId));
  }

  /** @param said what came over HTTP @throws HttpException that says what is wrong */
  async register(grant: Grant, said: unknown): Promise<void> {
    this.limits.countChange(grant.app);
    const read = z.object({ instance: Instance }).safeParse(said);
    if (!read.success) {
      const problems = read.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
      throw new BadRequestException(problems.join('; '));
    }
    const { instance } = read.data;
    if (instance.app.toLowerCase() !== grant.app) {
      throw new BadRequestException(`instance.app: is ${instance.app}, and the address says ${grant.app}`);
    }
    const instanceId = instance.instanceId ?? instance.hostName;
    const known = this.find(grant.app, instanceId);
    // What an operator decided outlives that the instance registers again.
    const overriddenStatus = (known && toInstance(known).overriddenStatus) ?? instance.overriddenStatus;
    const present = this.directory.foreign(grant.app).map(({ announcement }) => announcement.instance);
    await this.limits.admit(grant.app, toName(grant.app, instanceId), present, () =>
      this.#announce({ ...instance, instanceId, overriddenStatus }, known, grant),
    );
  }

  /** Changes an instance that is registered. @throws HttpException */
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
      ...{ service: grant.app, contract, upstream: 'http', url, networks: grant.networks, madeQueues: [] },
      version: instance.metadata['version'] ?? '0',
      instance: toName(instance.app, instance.instanceId),
      state: getStatus(instance) === 'UP' ? 'up' : 'out',
      startedAt: known?.announcement.startedAt ?? new Date().toISOString(),
      // It is gone after three of these: with three renewals that did not come, or sooner where its lease is shorter.
      interval:
        late * Math.max(this.settings.shortestRenewal, Math.min(renewalIntervalInSecs, durationInSecs / 3)),
      registration: instance,
    });
  }

  /** Passes a renewal on, unless the last one still counts. @throws HttpException where the credential does not permit the instance any more */
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

  /** After its credential changed: what it does not permit any more leaves. @param grant undefined where there is none */
  async apply(app: string, grant: Grant | undefined): Promise<void> {
    for (const entry of this.directory.foreign(app)) {
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
  isOurs(app: string): boolean {
    const { enforced, current } = this.grants;
    return enforced ? current.isService(app) : this.#ours.has(app);
  }

  /**
   * Which of the routes a service of the store has, in words; undefined where all are free. Where services have logins of
   * their own, that is what the deploy step registered: no service takes a route from an app by announcing it.
   */
  findConflict(routes: readonly string[]): string | undefined {
    const { enforced, current } = this.grants;
    if (enforced) {
      // Pages own all below their path, for every method.
      const registered = [...current.routes.keys()].map((route) => route.replace(/^\w+ (.*\/\*)$/, '* $1'));
      const conflict = findConflict(routes, registered);
      return conflict && `"${conflict[0]}" is taken: a service of this store has "${conflict[1]}"`;
    }
    const newest = [...this.#ours.values()].map(({ contract }) => contract);
    for (const contract of [...newest, ...this.directory.ours.map((one) => one.contract)]) {
      const conflict = findConflict(routes, listRoutes(contract));
      if (conflict) return `"${conflict[0]}" is taken: ${contract.service} has "${conflict[1]}"`;
    }
    return undefined;
  }

  #describe(instance: Instance, grant: Grant): ServiceDescription {
    if (this.isOurs(grant.app)) throw new ConflictException(`app: ${grant.app} is a service of this store`);
    try {
      const contract = buildContract(grant.app, instance.metadata);
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
    `instance.metadata.routes: "${route}" is not granted to ${app}: jogakbo registration add ${app} grants routes`,
  );
}
