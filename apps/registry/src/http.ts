import { promisify } from 'node:util';
import { BadRequestException, UnsupportedMediaTypeException } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyRequest, FastifyServerOptions } from 'fastify';
import { parseXml } from './eureka-format.ts';

/** Eureka clients also request `/eureka/apps/`. A registration is far smaller than this body limit. */
export const httpOptions: FastifyServerOptions = {
  bodyLimit: 32_768,
  routerOptions: { ignoreTrailingSlash: true, maxParamLength: 300 },
};

const utf8 = new TextDecoder('utf-8', { fatal: true });
const isUtf8 = (charset: string | undefined): boolean => (charset ?? 'utf-8').toLowerCase() === 'utf-8';

/** @throws HttpException if the body is not UTF-8, or declares another charset */
function decodeText(contentType: string | undefined, body: Buffer): string {
  const charset = /;\s*charset\s*=\s*"?([^\s";]+)/i.exec(contentType ?? '')?.[1];
  if (!isUtf8(charset)) throw new UnsupportedMediaTypeException('the body must be UTF-8');
  let text: string;
  try {
    text = utf8.decode(body);
  } catch {
    throw new BadRequestException('the body is not valid UTF-8');
  }
  const declared = /^\s*<\?xml[^>]*\sencoding\s*=\s*["']([^"']+)/i.exec(text)?.[1];
  if (!isUtf8(declared)) throw new UnsupportedMediaTypeException('the body must be UTF-8');
  return text.normalize('NFC');
}

/** Adds parsers for XML, and for empty bodies declared as JSON, which some Eureka clients send. */
export function configure(app: NestFastifyApplication): void {
  const server = app.getHttpAdapter().getInstance() as unknown as FastifyInstance;
  server.addHook('onRequest', (request, _reply, done) => {
    try {
      decodeURIComponent(request.url);
      done();
    } catch {
      done(new BadRequestException('percent-encoded text must be valid UTF-8'));
    }
  });
  const parseJson = server.getDefaultJsonParser('error', 'error');
  const { bodyLimit } = httpOptions;
  const parseAsJson = async (text: string, request: FastifyRequest) =>
    text === '' ? undefined : promisify(parseJson)(request as never, text);
  // Media types can have a suffix that names their syntax (RFC 6839).
  const parsers = [
    ['application/json', parseAsJson],
    [/^[^;]+\+json(?:;|$)/, parseAsJson],
    ['application/xml', parseAsXml],
    ['text/xml', parseAsXml],
    [/^[^;]+\+xml(?:;|$)/, parseAsXml],
  ] as const;
  for (const [type, parse] of parsers) {
    app.useBodyParser(type, { bodyLimit: bodyLimit! }, (request, body, done) => {
      const { headers } = request as unknown as FastifyRequest;
      const read = async (): Promise<unknown> =>
        parse(decodeText(headers['content-type'], body), request as unknown as FastifyRequest);
      read().then(
        (document) => done(null, document),
        (error: Error) => done(error),
      );
    });
  }
}

const parseAsXml = (text: string): Promise<unknown> =>
  parseXml(text).catch(() => Promise.reject(new BadRequestException('the body is not valid XML')));
