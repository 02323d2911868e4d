import {
  Body,
  Controller,
  Delete,
  Get,
  HttpCode,
  NotFoundException,
  BadRequestException,
  Param,
  Post,
  Put,
  Query,
  Req,
  Res,
} from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Credentials, type Credential } from './credentials.ts';
import { Directory, type Change, type Entry, type RememberedChange } from './directory.ts';
import { answer } from './eureka-format.ts';
import { Metadata, Status, getStatus } from './eureka-instance.ts';
import { toInstance, Registration } from './registration.ts';

type View = ReturnType<typeof toView>;

/**
 * The REST API of Netflix Eureka, for standard clients in any language. It lists all instances; the gateway routes to
 * registered ones. Any client may read; changes need the credential of the app.
 */
@Controller(['eureka', 'eureka/v2'])
export class EurekaController {
  constructor(
    private readonly directory: Directory,
    private readonly registration: Registration,
    private readonly credentials: Credentials,
  ) {}

  @Get('apps')
  apps(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    return answer(request, reply, { applications: this.#applications(this.#all()) });
  }

  /** Recent changes. The hash is of all instances, so that a client detects missed changes and fetches everything. */
  @Get('apps/delta')
  delta(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const changed = this.directory.changes.map(({ entry, kind, at }) => toView(entry, actions[kind], at));
    const hash = computeHashcode(this.#all());
    return answer(request, reply, { applications: this.#applications(changed, hash) });
  }

  @Get('apps/:app')
  app(@Param('app') app: string, @Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const instance = this.#all().filter((one) => one.app === app.toUpperCase());
    if (instance.length === 0) throw new NotFoundException(`app ${app} has no instances`);
    return answer(request, reply, { application: { name: app.toUpperCase(), instance } });
  }

  @Get('apps/:app/:instanceId')
  instanceOfApp(
    @Param('app') app: string,
    @Param('instanceId') instanceId: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    return this.#answerOne(
      request,
      reply,
      (one) => one.app === app.toUpperCase() && one.instanceId === instanceId,
    );
  }

  @Get('instances/:instanceId')
  instance(
    @Param('instanceId') instanceId: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    return this.#answerOne(request, reply, (one) => one.instanceId === instanceId);
  }

  @Get('vips/:vip')
  vip(@Param('vip') vip: string, @Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const matching = this.#all().filter((one) => one.vipAddress.split(',').includes(vip));
    return answer(request, reply, { applications: this.#applications(matching) });
  }

  @Get('svips/:vip')
  secureVip(
    @Param('vip') vip: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const matching = this.#all().filter((one) => one.secureVipAddress?.split(',').includes(vip));
    return answer(request, reply, { applications: this.#applications(matching) });
  }

  @Post('apps/:app')
  @HttpCode(204)
  async register(
    @Param('app') app: string,
    @Body() body: unknown,
    @Req() { headers }: FastifyRequest,
  ): Promise<void> {
    await this.registration.register(await this.credentials.authorize(headers.authorization, app), body);
  }

  /** On 404 a client registers again, for example after all registries were restarted. */
  @Put('apps/:app/:instanceId')
  async renew(
    @Param('app') app: string,
    @Param('instanceId') instanceId: string,
    @Query('status') status: string | undefined,
    @Req() request: FastifyRequest,
  ): Promise<void> {
    const [entry, credential] = await this.#mustFind(request, app, instanceId);
    const instance = toInstance(entry);
    const parsed = Status.safeParse(status);
    if (parsed.success && parsed.data !== instance.status) {
      await this.registration.change({ ...instance, status: parsed.data }, entry, credential);
    } else {
      await this.registration.renew(entry, credential);
    }
  }

  @Delete('apps/:app/:instanceId')
  async cancel(
    @Param('app') app: string,
    @Param('instanceId') instanceId: string,
    @Req() request: FastifyRequest,
  ): Promise<void> {
    const [entry] = await this.#mustFind(request, app, instanceId);
    await this.registration.cancel(entry);
  }

  @Put('apps/:app/:instanceId/status')
  async override(
    @Param('app') app: string,
    @Param('instanceId') instanceId: string,
    @Query('value') value: string | undefined,
    @Req() request: FastifyRequest,
  ): Promise<void> {
    const [entry, credential] = await this.#mustFind(request, app, instanceId);
    const status = Status.safeParse(value);
    if (!status.success) throw new BadRequestException(`value: must be one of ${Status.options.join(', ')}`);
    await this.registration.change(
      { ...toInstance(entry), overriddenStatus: status.data },
      entry,
      credential,
    );
  }

  @Delete('apps/:app/:instanceId/status')
  async endOverride(
    @Param('app') app: string,
    @Param('instanceId') instanceId: string,
    @Req() request: FastifyRequest,
  ): Promise<void> {
    const [entry, credential] = await this.#mustFind(request, app, instanceId);
    await this.registration.change({ ...toInstance(entry), overriddenStatus: undefined }, entry, credential);
  }

  /** The next registration of the instance overwrites these metadata, as in Eureka. */
  @Put('apps/:app/:instanceId/metadata')
  async changeMetadata(
    @Param('app') app: string,
    @Param('instanceId') instanceId: string,
    @Query() changes: Record<string, unknown>,
    @Req() request: FastifyRequest,
  ): Promise<void> {
    const [entry, credential] = await this.#mustFind(request, app, instanceId);
    const instance = toInstance(entry);
    const metadata = Metadata.safeParse({ ...instance.metadata, ...changes });
    if (!metadata.success) {
      throw new BadRequestException(metadata.error.issues.map(({ message }) => message).join('; '));
    }
    await this.registration.change({ ...instance, metadata: metadata.data }, entry, credential);
  }

  /** An app can change only its own instances. No credential can change those of the store's services. */
  async #mustFind(
    { headers }: FastifyRequest,
    app: string,
    instanceId: string,
  ): Promise<[Entry, Credential]> {
    const credential = await this.credentials.authorize(headers.authorization, app);
    const entry = this.registration.find(app, instanceId);
    if (!entry) throw new NotFoundException(`${app}/${instanceId} is not registered`);
    return [entry, credential];
  }

  #all(): View[] {
    return this.directory.entries.map((entry) => toView(entry));
  }

  #applications(instances: View[], hash = computeHashcode(instances)) {
    const apps = Map.groupBy(instances, ({ app }) => app);
    return {
      versions__delta: '1',
      apps__hashcode: hash,
      application: [...apps].map(([name, instance]) => ({ name, instance })),
    };
  }

  #answerOne(request: FastifyRequest, reply: FastifyReply, matches: (one: View) => boolean): Promise<void> {
    const found = this.#all().find(matches);
    if (!found) throw new NotFoundException('no such instance');
    return answer(request, reply, { instance: found });
  }
}

const actions: Record<Change['kind'], string> = { came: 'ADDED', changed: 'MODIFIED', went: 'DELETED' };

/** An instance in the format of Eureka. */
function toView(
  entry: RememberedChange['entry'],
  actionType = 'ADDED',
  at = Date.parse(entry.announcement.startedAt),
) {
  const { announcement, hash } = entry;
  const { service, version, instance, url, state, startedAt, interval } = announcement;
  const since = Date.parse(startedAt);
  const common = {
    countryId: 1,
    isCoordinatingDiscoveryServer: 'false',
    lastUpdatedTimestamp: String(at),
    lastDirtyTimestamp: String(since),
    actionType,
  };
  const lease = { registrationTimestamp: since, evictionTimestamp: 0, serviceUpTimestamp: since };
  if (announcement.upstream) {
    const { leaseInfo, port, securePort, lastDirtyTimestamp, overriddenStatus, ...rest } = toInstance(entry);
    return {
      ...common,
      ...rest,
      app: rest.app.toUpperCase(),
      ipAddr: rest.ipAddr ?? rest.hostName,
      vipAddress: rest.vipAddress ?? service,
      status: getStatus(toInstance(entry)),
      overriddenStatus: overriddenStatus ?? 'UNKNOWN',
      ...toPorts(port, securePort),
      leaseInfo: { ...leaseInfo, ...lease },
      ...(lastDirtyTimestamp && { lastDirtyTimestamp: String(lastDirtyTimestamp) }),
    };
  }
  const { hostname, port } = new URL(url);
  return {
    ...common,
    instanceId: instance,
    hostName: hostname,
    app: service.toUpperCase(),
    ipAddr: hostname,
    vipAddress: service,
    secureVipAddress: undefined,
    status: state === 'up' ? 'UP' : 'OUT_OF_SERVICE',
    overriddenStatus: 'UNKNOWN',
    ...toPorts({ $: Number(port || 80), '@enabled': true }, { $: 443, '@enabled': false }),
    dataCenterInfo: { '@class': 'com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo', name: 'MyOwn' },
    leaseInfo: {
      renewalIntervalInSecs: Math.max(1, Math.round(interval)),
      durationInSecs: Math.max(1, Math.round(interval * 3)),
      ...lease,
    },
    metadata: { version, contract: hash, transport: 'rabbitmq' } as Record<string, string>,
    healthCheckUrl: `${url}/health/ready`,
    statusPageUrl: `${url}/metrics`,
  };
}

interface Port {
  $: number;
  '@enabled': boolean;
}

const toPorts = (port: Port, securePort: Port) => ({
  port: { $: port.$, '@enabled': String(port['@enabled']) },
  securePort: { $: securePort.$, '@enabled': String(securePort['@enabled']) },
});

/** Number of instances per status, as clients compute it: `DOWN_1_UP_12_`. */
function computeHashcode(instances: View[]): string {
  const counts = Map.groupBy(instances, ({ status }) => status);
  return [...counts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([status, some]) => `${status}_${some.length}_`)
    .join('');
}
