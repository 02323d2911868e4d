// Fastify with the same answers as the minimal service on the bus: node trivial-server.ts, with PORT
import fastify from 'fastify';
import { text } from './trivial.ts';

const server = fastify();
server.get<{ Params: { trifleId: string } }>('/v1/trifles/:trifleId', async ({ params: { trifleId } }) => ({
  trifleId,
  text,
}));
await server.listen({ host: '127.0.0.1', port: Number(process.env['PORT']) });
