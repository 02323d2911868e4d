import type { FastifyReply, FastifyRequest } from 'fastify';
import Negotiator from 'negotiator';

/** Eureka's convention for JSON: an XML attribute is a field with the prefix `@`, the element text is `$`. */
const xmlOptions = { ignoreAttributes: false, attributeNamePrefix: '@', textNodeName: '$' };
/** Loaded on demand: most clients use JSON, and the library needs more memory than the rest of the registry. */
const importXml = () => import('fast-xml-parser');

/** @throws Error if it is not XML */
export async function parseXml(text: string): Promise<unknown> {
  const { XMLParser } = await importXml();
  // Keeps all values as texts. The registration schema converts them.
  return new XMLParser({ ...xmlOptions, parseTagValue: false, ignoreDeclaration: true }).parse(text, true);
}

const formats = ['application/xml', 'application/json'];
/** Characters of the Accept header that are read. Clients send fewer. */
const maxAcceptLength = 500;

/** Answers in the accepted format; XML is the default, as in Eureka. */
export async function answer(request: FastifyRequest, reply: FastifyReply, document: object): Promise<void> {
  const accept = request.headers.accept?.slice(0, maxAcceptLength);
  if (new Negotiator({ headers: { accept } }).mediaType(formats) === 'application/json') {
    void reply.type('application/json').send(JSON.stringify(document));
    return;
  }
  const { XMLBuilder } = await importXml();
  const builder = new XMLBuilder({ ...xmlOptions, suppressBooleanAttributes: false });
  void reply.type('application/xml').send(builder.build(document));
}
