import { shared } from '@jogakbo/contracts-config';
import { Controller, Get, Headers, Param, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { toPlace, type ConfigVersion } from './config-version.ts';
import { Sources } from './sources.ts';
import { formats, type Flat } from './spring-formats.ts';
import { SecretEncryption } from './secret-encryption.ts';

const mainLabel = 'main';
const name = /^[\w-]{1,60}$/;
const profilesForm = /^[\w-]{1,60}(,[\w-]{1,60}){0,19}$/;

/** What is asked for, or the status that refuses it. */
type Wanted = { application: string; profiles: string[]; label: string } | number;

/**
 * Spring Cloud Config's HTTP API, on the service's own port. A client shows its password by HTTP Basic and reads its own
 * settings, secrets in clear, and those that all share.
 */
@Controller()
export class SpringController {
  constructor(
    private readonly sources: Sources,
    private readonly vault: SecretEncryption,
  ) {}

  /** `/{application}-{profile}.yml` */
  @Get(':file')
  ofFile(
    @Param('file') file: string,
    @Headers('authorization') authorization: string | undefined,
    @Res() reply: FastifyReply,
  ) {
    return this.#file(mainLabel, file, this.vault.getClient(authorization), reply);
  }

  /** `/{application}/{profile}` and `/{label}/{application}-{profile}.yml` */
  @Get(':first/:second')
  ofTwo(
    @Param('first') first: string,
    @Param('second') second: string,
    @Headers('authorization') authorization: string | undefined,
    @Res() reply: FastifyReply,
  ) {
    const client = this.vault.getClient(authorization);
    const isFile = Object.hasOwn(formats, /\.(\w+)$/.exec(second)?.[1] ?? '');
    return isFile
      ? this.#file(first, second, client, reply)
      : this.#environment(client, first, second, mainLabel, reply);
  }

  /** `/{application}/{profile}/{label}` */
  @Get(':application/:profiles/:label')
  ofLabel(
    @Param('application') application: string,
    @Param('profiles') profiles: string,
    @Param('label') label: string,
    @Headers('authorization') authorization: string | undefined,
    @Res() reply: FastifyReply,
  ) {
    return this.#environment(this.vault.getClient(authorization), application, profiles, label, reply);
  }

  async #environment(
    client: string | undefined,
    application: string,
    profiles: string,
    label: string,
    reply: FastifyReply,
  ) {
    const wanted = asked(client, application, profiles, label);
    if (typeof wanted === 'number') return refuse(reply, wanted);
    const found = await this.#find(wanted);
    return reply.header('cache-control', 'no-store').send({
      ...{ name: wanted.application, profiles: wanted.profiles, label: wanted.label },
      version: found.map(({ version }) => version).join('.') || null,
      state: null,
      propertySources: found.map(({ application, profile, label, source }) => ({
        name: `${application}-${profile}@${label}`,
        source,
      })),
    });
  }

  async #file(label: string, file: string, client: string | undefined, reply: FastifyReply) {
    const [, both = '', ending = ''] = /^(.+)\.(\w+)$/.exec(file) ?? [];
    if (client && !Object.hasOwn(formats, ending)) return refuse(reply, 404);
    // Names hold dashes too: which part of it is the application follows from whom a client may ask for.
    const application = [client, shared].find((one) => one && both.startsWith(`${one}-`)) ?? '';
    const wanted = asked(client, application, both.slice(application.length + 1), label);
    if (typeof wanted === 'number') return refuse(reply, wanted);
    const found = await this.#find(wanted);
    const flat: Flat = Object.assign({}, ...found.map(({ source }) => source).reverse());
    const { type, write } = formats[ending]!;
    return reply.type(type).header('cache-control', 'no-store').send(write(flat));
  }

  async #find({ application, profiles, label }: Exclude<Wanted, number>) {
    const found = await this.sources.of(application, profiles, label);
    return found.map((version) => ({ ...version, source: this.#inClear(version) }));
  }

  #inClear(version: ConfigVersion): Flat {
    return Object.fromEntries(
      Object.entries(version.settings).map(([key, { value, secret }]) => [
        key,
        secret ? this.vault.decrypt(toPlace(version), key, value) : value,
      ]),
    );
  }
}

/** A client may ask for itself, and for what all share. */
function asked(client: string | undefined, application: string, profiles: string, label: string): Wanted {
  if (!client) return 401;
  if (application !== client && application !== shared) return 403;
  if (!name.test(application) || !profilesForm.test(profiles) || label.length > 100) return 404;
  // A slash in a label travels as (_).
  return { application, profiles: profiles.split(','), label: label.replaceAll('(_)', '/') };
}

const refusals: Record<number, [code: string, title: string]> = {
  401: ['unauthenticated', 'Send the name of the service and its config password by HTTP Basic'],
  403: ['forbidden', 'A service reads its own settings, and those of application'],
  404: ['not-found', 'There is no such thing'],
};

function refuse(reply: FastifyReply, status: number) {
  const [code, title] = refusals[status]!;
  if (status === 401) reply.header('www-authenticate', 'Basic realm="config", charset="UTF-8"');
  const problem = JSON.stringify({ type: `/problems/${code}`, title, status, code });
  return reply.code(status).type('application/problem+json').send(problem);
}
