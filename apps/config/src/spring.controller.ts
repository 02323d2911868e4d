import { sharedApplication } from '@jogakbo/contracts-config';
import { Controller, Get, Headers, Param, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { toPlace, type ConfigVersion } from './config-version.ts';
import { Sources } from './sources.ts';
import { formats, type Flat } from './spring-formats.ts';
import { SecretEncryption } from './secret-encryption.ts';

const mainLabel = 'main';
const namePattern = /^[\w-]{1,60}$/;
const profilesPattern = /^[\w-]{1,60}(,[\w-]{1,60}){0,19}$/;

/** A valid request, or the status of the error response. */
type ParsedRequest = { application: string; profiles: string[]; label: string } | number;

/**
 * Spring Cloud Config's HTTP API, on the service's own port. A client authenticates with HTTP Basic. It reads its own
 * settings, with secrets decrypted, and the shared ones.
 */
@Controller()
export class SpringController {
  constructor(
    private readonly sources: Sources,
    private readonly encryption: SecretEncryption,
  ) {}

  /** `/{application}-{profile}.yml` */
  @Get(':file')
  getFile(
    @Param('file') file: string,
    @Headers('authorization') authorization: string | undefined,
    @Res() reply: FastifyReply,
  ) {
    return this.#file(mainLabel, file, this.encryption.getClient(authorization), reply);
  }

  /** `/{application}/{profile}` and `/{label}/{application}-{profile}.yml` */
  @Get(':first/:second')
  getFileOrEnvironment(
    @Param('first') first: string,
    @Param('second') second: string,
    @Headers('authorization') authorization: string | undefined,
    @Res() reply: FastifyReply,
  ) {
    const client = this.encryption.getClient(authorization);
    const isFile = Object.hasOwn(formats, /\.(\w+)$/.exec(second)?.[1] ?? '');
    return isFile
      ? this.#file(first, second, client, reply)
      : this.#environment(client, first, second, mainLabel, reply);
  }

  /** `/{application}/{profile}/{label}` */
  @Get(':application/:profiles/:label')
  getEnvironment(
    @Param('application') application: string,
    @Param('profiles') profiles: string,
    @Param('label') label: string,
    @Headers('authorization') authorization: string | undefined,
    @Res() reply: FastifyReply,
  ) {
    return this.#environment(this.encryption.getClient(authorization), application, profiles, label, reply);
  }

  async #environment(
    client: string | undefined,
    application: string,
    profiles: string,
    label: string,
    reply: FastifyReply,
  ) {
    const request = parseRequest(client, application, profiles, label);
    if (typeof request === 'number') return sendProblem(reply, request);
    const found = await this.#findSources(request);
    return reply.header('cache-control', 'no-store').send({
      name: request.application,
      profiles: request.profiles,
      label: request.label,
      version: found.map(({ version }) => version).join('.') || null,
      state: null,
      propertySources: found.map(({ application, profile, label, source }) => ({
        name: `${application}-${profile}@${label}`,
        source,
      })),
    });
  }

  async #file(label: string, file: string, client: string | undefined, reply: FastifyReply) {
    const [, baseName = '', extension = ''] = /^(.+)\.(\w+)$/.exec(file) ?? [];
    if (client && !Object.hasOwn(formats, extension)) return sendProblem(reply, 404);
    // Names may contain dashes, so the split between application and profile depends on the client.
    const application =
      [client, sharedApplication].find((one) => one && baseName.startsWith(`${one}-`)) ?? '';
    const request = parseRequest(client, application, baseName.slice(application.length + 1), label);
    if (typeof request === 'number') return sendProblem(reply, request);
    const found = await this.#findSources(request);
    const flat: Flat = Object.assign({}, ...found.map(({ source }) => source).reverse());
    const { type, write } = formats[extension]!;
    return reply.type(type).header('cache-control', 'no-store').send(write(flat));
  }

  async #findSources({ application, profiles, label }: Exclude<ParsedRequest, number>) {
    const found = await this.sources.find(application, profiles, label);
    return found.map((version) => ({ ...version, source: this.#decryptSettings(version) }));
  }

  #decryptSettings(version: ConfigVersion): Flat {
    return Object.fromEntries(
      Object.entries(version.settings).map(([key, { value, secret }]) => [
        key,
        secret ? this.encryption.decrypt(toPlace(version), key, value) : value,
      ]),
    );
  }
}

/** A client may read its own settings and the shared ones. */
function parseRequest(
  client: string | undefined,
  application: string,
  profiles: string,
  label: string,
): ParsedRequest {
  if (!client) return 401;
  if (application !== client && application !== sharedApplication) return 403;
  if (!namePattern.test(application) || !profilesPattern.test(profiles) || label.length > 100) return 404;
  // Spring encodes a slash in a label as (_).
  return { application, profiles: profiles.split(','), label: label.replaceAll('(_)', '/') };
}

const problems: Record<number, [code: string, title: string]> = {
  401: ['unauthenticated', 'Requires the service name and its config password (HTTP Basic)'],
  403: ['forbidden', 'A service may read its own settings and those of application only'],
  404: ['not-found', 'Not found'],
};

function sendProblem(reply: FastifyReply, status: number) {
  const [code, title] = problems[status]!;
  if (status === 401) reply.header('www-authenticate', 'Basic realm="config", charset="UTF-8"');
  const problem = JSON.stringify({ type: `/problems/${code}`, title, status, code });
  return reply.code(status).type('application/problem+json').send(problem);
}
