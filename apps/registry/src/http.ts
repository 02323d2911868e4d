import { BadRequestException } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyServerOptions } from 'fastify';
import { parseXml } from './eureka-format.ts';

/** Eureka clients ask for `/eureka/apps/`, too. An instance tells of itself in far less than this body. */
export const httpOptions: FastifyServerOptions = {
  bodyLimit: 65_536,
  routerOptions: { ignoreTrailingSlash: true, maxParamLength: 300 },
};

/** Some clients of Eureka write XML. */
export function configure(app: NestFastifyApplication): void {
  const server = app.getHttpAdapter().getInstance() as unknown as FastifyInstance;
  for (const type of ['application/xml', 'text/xml']) {
    server.addContentTypeParser(type, { parseAs: 'string' }, (_request, body, done) => {
      try {
        done(null, parseXml(body as string));
      } catch {
        done(new BadRequestException('the body is not XML'));
      }
    });
  }
}
