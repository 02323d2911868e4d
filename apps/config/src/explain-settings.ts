import type { Body } from '@jogakbo/contract';
import { ExplainSettings } from '@jogakbo/contracts-config';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { RunningInstances } from './running-instances.ts';

@Controller()
export class ExplainSettingsHandler {
  constructor(private readonly running: RunningInstances) {}

  @Handles(ExplainSettings)
  async explain({ application }: Body<typeof ExplainSettings>) {
    const reports = await this.running.collectReports(application, () => ({}));
    return {
      instances: reports.map(({ instance, settings, unknown }) => ({ instance, settings, unknown })),
    };
  }
}
