import type { Body } from '@jogakbo/contract';
import { ListInstances } from '@jogakbo/contracts-registry';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { Directory } from './directory.ts';

@Controller()
export class ListInstancesHandler {
  constructor(private readonly directory: Directory) {}

  @Handles(ListInstances)
  async handle({ service }: Body<typeof ListInstances>) {
    const { entries, refusedSenders } = this.directory;
    const views = entries.map((entry) => this.directory.toView(entry));
    return { items: views.filter((one) => !service || one.service === service), refusedSenders };
  }
}
