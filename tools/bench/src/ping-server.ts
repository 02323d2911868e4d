// Fastify with the same answers as the minimal service on the bus: node ping-server.ts, with PORT
import fastify from 'fastify';
import { text } from './ping.ts';

const server = fastify();
server.get<{ Params: { pingId: string } }>('/v1/pings/:pingId', async ({ params: { pingId } }) => ({
  pingId,
  text,
}));
await server.listen({ host: '127.0.0.1', port: Number(process.env['PORT']) });
