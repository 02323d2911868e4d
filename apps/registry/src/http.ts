import { BadRequestException } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyServerOptions } from 'fastify';
import { parseXml } from './eureka-format.ts';

/** Eureka clients ask for `/eureka/apps/`, too. An instance tells of itself in far less than this body. */
export const httpOptions: FastifyServerOptions = {
  bodyLimit: 65_536,
  routerOptions: { ignoreTrailingSlash: true, maxParamLength: 300 },
};

/** Some clients of Eureka write XML, and some say that they send JSON where they send nothing. */
export function configure(app: NestFastifyApplication): void {
  const server = app.getHttpAdapter().getInstance() as unknown as FastifyInstance;
  const parseJson = server.getDefaultJsonParser('error', 'error');
  app.useBodyParser('application/json', { bodyLimit: httpOptions.bodyLimit! }, (request, body, done) => {
    if (body.length === 0) done(null, undefined);
    else parseJson(request as never, body.toString(), done);
  });
  for (const type of ['application/xml', 'text/xml']) {
    app.useBodyParser(type, { bodyLimit: httpOptions.bodyLimit! }, (_request, body, done) => {
      parseXml(body.toString()).then(
        (document) => done(null, document),
        () => done(new BadRequestException('the body is not XML')),
      );
    });
  }
}
