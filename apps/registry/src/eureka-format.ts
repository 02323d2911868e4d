import type { FastifyReply, FastifyRequest } from 'fastify';
import { XMLBuilder, XMLParser } from 'fast-xml-parser';

/** Eureka's own convention: in JSON, an attribute is a field that begins with `@`, the text beside it is `$`. */
const convention = { ignoreAttributes: false, attributeNamePrefix: '@', textNodeName: '$' };
const builder = new XMLBuilder({ ...convention, suppressBooleanAttributes: false });
const parser = new XMLParser({
  ...convention,
  // All values are texts, as they are in JSON; the schema of a registration reads them.
  parseTagValue: false,
  ignoreDeclaration: true,
});

export const parseXml = (text: string): unknown => parser.parse(text, true);

/** Answers in what the client accepts; like Eureka itself in XML where it does not say. */
export function answer(request: FastifyRequest, reply: FastifyReply, document: object): void {
  const asJson = /json/.test(request.headers.accept ?? '');
  const text = asJson ? JSON.stringify(document) : builder.build(document);
  void reply.type(asJson ? 'application/json' : 'application/xml').send(text);
}
