import { createHash, timingSafeEqual } from 'node:crypto';
import type { ServiceDescription } from '@jogakbo/contract';
import {
  BadRequestException,
  ConflictException,
  ForbiddenException,
  Injectable,
  Logger,
  UnauthorizedException,
  type OnModuleInit,
} from '@nestjs/common';
import { z } from 'zod';
import { ContractHistory } from './contract-history.ts';
import { Directory, type Entry } from './directory.ts';
import { BadMetadata, conflictOf, contractOf, routesOf } from './foreign-routes.ts';
import { RegistrySettings } from './settings.ts';

export const statuses = ['UP', 'DOWN', 'STARTING', 'OUT_OF_SERVICE', 'UNKNOWN'] as const;
export const Status = z.enum(statuses);
export type Status = z.infer<typeof Status>;

const Text = z.coerce.string().max(2_000);
const Host = z
  .string()
  .regex(
    /^([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[?[0-9A-Fa-f:]+\]?)$/,
    'is not the name or address of a host',
  )
  .max(253);
const Seconds = z.coerce.number().min(0.1).max(3_600);
const Port = z
  .union([
    z.coerce.number().pipe(z.int()),
    z.object({
      $: z.coerce.number().pipe(z.int()),
      '@enabled': z.union([z.boolean(), z.stringbool()]).default(true),
    }),
  ])
  .transform((port) => (typeof port === 'number' ? { $: port, '@enabled': true } : port))
  .refine((port) => !port['@enabled'] || (port.$ > 0 && port.$ < 65_536), 'is not a port');

export const Metadata = z
  // An empty element of XML is an empty text.
  .preprocess((all) => all || {}, z.record(z.string(), z.unknown()))
  // Java clients write the class of their map among its entries.
  .transform((all) => Object.entries(all).filter(([key, value]) => !key.startsWith('@') && value !== null))
  .pipe(
    z
      .array(
        z.tuple([
          z
            .string()
            .regex(/^[A-Za-z_][\w.-]*$/, 'is not a name')
            .max(100),
          Text,
        ]),
      )
      .max(50),
  )
  .transform((entries): Record<string, string> => Object.fromEntries(entries));

/** What a client of Eureka says of its instance, and of that what is kept. All values may come as texts (XML). */
const Instance = z.object({
  instanceId: z
    .string()
    .regex(/^[^\s/?#]+$/)
    .max(200)
    .optional(),
  hostName: Host,
  app: z
    .string()
    .regex(/^[A-Za-z][\w.-]*$/, 'must be a name: a letter, then letters, digits, _ . and -')
    .max(60),
  ipAddr: Host.optional(),
  vipAddress: Text.optional(),
  secureVipAddress: Text.optional(),
  homePageUrl: Text.optional(),
  statusPageUrl: Text.optional(),
  healthCheckUrl: Text.optional(),
  status: Status.default('UP'),
  overriddenStatus: Status.optional().catch(undefined),
  port: Port.default({ $: 80, '@enabled': false }),
  securePort: Port.default({ $: 443, '@enabled': false }),
  countryId: z.coerce.number().default(1),
  dataCenterInfo: z
    .object({ '@class': Text.optional(), name: Text })
    .default({ name: 'MyOwn' })
    .transform(({ name }) => ({ '@class': 'com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo', name })),
  leaseInfo: z
    .object({ renewalIntervalInSecs: Seconds.default(30), durationInSecs: Seconds.default(90) })
    .prefault({}),
  metadata: Metadata,
  lastDirtyTimestamp: z.coerce.number().optional(),
});
export type Instance = z.infer<typeof Instance> & { instanceId: string };

const nameOf = (app: string, instanceId: string) => `eureka:${app.toUpperCase()}:${instanceId}`;

/** The third renewal may be a little late, and still counts. */
const late = 1.1;

/** How an instance that is not on the bus registered. */
export const instanceOf = ({ announcement }: Entry): Instance => announcement.registration as Instance;

/** Takes in what is not on the bus, and speaks for it there. */
@Injectable()
export class Registration implements OnModuleInit {
  readonly #logger = new Logger('Registration');
  /** What each of our own services speaks, also while none of its instances is there. */
  readonly #ours = new Map<string, ServiceDescription>();

  constructor(
    private readonly directory: Directory,
    private readonly history: ContractHistory,
    private readonly settings: RegistrySettings,
  ) {
    directory.onChange(({ entry: { announcement } }) => {
      if (!announcement.upstream) this.#ours.set(announcement.service, announcement.contract);
    });
  }

  async onModuleInit(): Promise<void> {
    try {
      for (const contract of await this.history.lastOfOurs()) {
        if (!this.#ours.has(contract.service)) this.#ours.set(contract.service, contract);
      }
    } catch (error) {
      this.#logger.warn(
        `only routes of services that are there now are guarded: ${(error as Error).message}`,
      );
    }
  }

  /** @param authorization HTTP Basic; the name does not matter @throws HttpException */
  mustKnowSecret(authorization: string | undefined): void {
    const { registrationSecret } = this.settings;
    if (!registrationSecret)
      throw new ForbiddenException('registration is closed: REGISTRATION_SECRET is not set');
    const basic = /^Basic +([A-Za-z0-9+/=]+)$/i.exec(authorization ?? '')?.[1];
    const given = Buffer.from(basic ?? '', 'base64').toString();
    const password = given.slice(given.indexOf(':') + 1);
    const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
    if (!basic || !timingSafeEqual(digest(password), digest(registrationSecret))) {
      throw new UnauthorizedException('register with the secret: http://eureka:<secret>@<registry>/eureka');
    }
  }

  find(app: string, instanceId: string): Entry | undefined {
    return this.directory.find(nameOf(app, instanceId));
  }

  /** @param said what came over HTTP @throws HttpException that says what is wrong */
  async register(app: string, said: unknown): Promise<void> {
    const read = z.object({ instance: Instance }).safeParse(said);
    if (!read.success) {
      const problems = read.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
      throw new BadRequestException(problems.join('; '));
    }
    const { instance } = read.data;
    if (instance.app.toLowerCase() !== app.toLowerCase()) {
      throw new BadRequestException(`instance.app: is ${instance.app}, and the address says ${app}`);
    }
    const instanceId = instance.instanceId ?? instance.hostName;
    const known = this.find(app, instanceId);
    // What an operator decided outlives that the instance registers again.
    const overriddenStatus = (known && instanceOf(known).overriddenStatus) ?? instance.overriddenStatus;
    await this.say({ ...instance, instanceId, overriddenStatus }, known);
  }

  /** Says how an instance is from now on. @throws HttpException */
  async say(instance: Instance, known: Entry | undefined): Promise<void> {
    const { service, contract } = this.#describe(instance);
    const { renewalIntervalInSecs, durationInSecs } = instance.leaseInfo;
    await this.directory.announce({
      ...{ service, contract, upstream: 'http', url: urlOf(instance), madeQueues: [] },
      version: instance.metadata['version'] ?? '0',
      instance: nameOf(instance.app, instance.instanceId),
      state: statusOf(instance) === 'UP' ? 'up' : 'out',
      startedAt: known?.announcement.startedAt ?? new Date().toISOString(),
      // It is gone after three of these: with three renewals that did not come, or sooner where its lease is shorter.
      interval:
        late * Math.max(this.settings.shortestRenewal, Math.min(renewalIntervalInSecs, durationInSecs / 3)),
      registration: instance,
    });
  }

  async cancel({ announcement }: Entry): Promise<void> {
    await this.directory.announce({ ...announcement, state: 'draining' });
  }

  #describe(instance: Instance): { service: string; contract: ServiceDescription } {
    const service = instance.app.toLowerCase();
    if (this.#ours.has(service)) throw new ConflictException(`app: ${service} is a service of this store`);
    try {
      const contract = contractOf(service, instance.metadata);
      this.#mustBeFree(service, routesOf(contract));
      return { service, contract };
    } catch (error) {
      if (error instanceof BadMetadata) throw new BadRequestException(`instance.metadata.${error.message}`);
      throw error;
    }
  }

  #mustBeFree(service: string, routes: string[]): void {
    const others = this.directory.entries
      .map(({ announcement }) => announcement)
      .filter((one) => one.upstream && one.service !== service);
    const holders = [...this.#ours.values(), ...others.map(({ contract }) => contract)];
    for (const contract of holders) {
      const conflict = conflictOf(routes, routesOf(contract));
      if (!conflict) continue;
      const [claim, holder] = conflict;
      throw new ConflictException(
        `instance.metadata.routes: "${claim}" is taken: ${contract.service} has "${holder}"`,
      );
    }
  }
}

/** What an operator decided counts before what the instance says. */
export const statusOf = ({ status, overriddenStatus }: Instance): Status =>
  overriddenStatus && overriddenStatus !== 'UNKNOWN' ? overriddenStatus : status;

/** A certificate is for a name; without one an address is surer, for not everybody can resolve a name. */
function urlOf({ hostName, ipAddr, port, securePort }: Instance): string {
  if (!port['@enabled'] && !securePort['@enabled']) {
    throw new BadRequestException('instance.port: neither port nor securePort is enabled');
  }
  const secure = !port['@enabled'];
  const host = secure ? hostName : (ipAddr ?? hostName);
  const bracketed = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
  const text = `${secure ? 'https' : 'http'}://${bracketed}:${(secure ? securePort : port).$}`;
  if (!URL.canParse(text)) throw new BadRequestException(`instance.hostName: ${text} is not an address`);
  return new URL(text).origin;
}
