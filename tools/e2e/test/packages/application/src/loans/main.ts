// An ordinary Nest application that takes the libraries one by one.
import 'reflect-metadata';
import { RabbitServer } from '@jogakbo/messaging';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { LoanMessages } from './loan-messages.js';
import { LoansController } from './loans.controller.js';
import { MessagingModule } from './messaging.js';

@Module({ imports: [MessagingModule], controllers: [LoansController, LoanMessages] })
class LoansModule {}

const app = await NestFactory.create<NestFastifyApplication>(LoansModule, new FastifyAdapter(), {
  logger: ['error', 'warn'],
});
app.connectMicroservice({ strategy: app.get(RabbitServer) });
await app.startAllMicroservices();
await app.listen(0, '127.0.0.1');
process.once('SIGTERM', () => void app.close().then(() => process.exit(0)));
process.send?.({ url: await app.getUrl() });
