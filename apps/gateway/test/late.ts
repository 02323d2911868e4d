import { service, type Body } from '@jogakbo/contract';
import { Handles } from '@jogakbo/messaging';
import { Service } from '@jogakbo/service';
import { Controller } from '@nestjs/common';
import { z } from 'zod';

/** A second service, started while the gateway runs. */
export const late = service('late', 'Starts later.');
export const GetLate = late.query('get-late', {
  input: z.strictObject({}),
  output: z.object({ here: z.boolean() }),
  http: 'GET /v1/late',
  access: 'public',
});

@Controller()
export class LateHandler {
  @Handles(GetLate)
  async get(_: Body<typeof GetLate>) {
    return { here: true };
  }
}

@Service({ contract: late, handlers: [LateHandler] })
export class LateModule {}
