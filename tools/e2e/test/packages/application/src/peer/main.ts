// A service that knows nothing of the libraries: the RabbitMQ transport that comes with Nest.
// Usage: main.js <name of the queue of commands> <pattern> <JSON>...
import 'reflect-metadata';
import { Logger } from '@nestjs/common';
import { ClientProxyFactory, Transport } from '@nestjs/microservices';
import { firstValueFrom } from 'rxjs';

// The output is JSON.
Logger.overrideLogger(false);
const [queue = '', pattern = '', ...inputs] = process.argv.slice(2);
const { RABBITMQ_URL = '' } = process.env;
const client = ClientProxyFactory.create({
  transport: Transport.RMQ,
  options: { urls: [RABBITMQ_URL], queue, noAssert: true },
});
const answers = inputs.map((input) =>
  firstValueFrom(client.send<unknown>(pattern, JSON.parse(input))).then(
    (answer) => ({ answer }),
    (error: { code?: string }) => ({ error: error.code }),
  ),
);
console.log(JSON.stringify(await Promise.all(answers)));
await client.close();
