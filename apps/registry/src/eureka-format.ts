import type { FastifyReply, FastifyRequest } from 'fastify';

/** Eureka's own convention: in JSON, an attribute is a field that begins with `@`, the text beside it is `$`. */
const convention = { ignoreAttributes: false, attributeNamePrefix: '@', textNodeName: '$' };
/** Most clients never speak XML, and it takes more memory than all the rest of the registry. */
const xml = () => import('fast-xml-parser');

/** @throws Error where it is no XML */
export async function parseXml(text: string): Promise<unknown> {
  const { XMLParser } = await xml();
  // All values are texts, as they may be in JSON; the schema of a registration reads them.
  return new XMLParser({ ...convention, parseTagValue: false, ignoreDeclaration: true }).parse(text, true);
}

/** Answers in what the client accepts; like Eureka itself in XML where it does not say. */
export async function answer(request: FastifyRequest, reply: FastifyReply, document: object): Promise<void> {
  if (/json/.test(request.headers.accept ?? '')) {
    void reply.type('application/json').send(JSON.stringify(document));
    return;
  }
  const { XMLBuilder } = await xml();
  const builder = new XMLBuilder({ ...convention, suppressBooleanAttributes: false });
  void reply.type('application/xml').send(builder.build(document));
}
