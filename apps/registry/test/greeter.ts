import { service, type Body } from '@jogakbo/contract';
import { Handles } from '@jogakbo/messaging';
import { Service } from '@jogakbo/service';
import { Controller } from '@nestjs/common';
import { z } from 'zod';

/** A service of the store for tests of the registry. */
export const greeter = service('greeter', 'Greets.');

export const Greet = greeter.query('greet', {
  input: z.strictObject({ name: z.string() }),
  output: z.object({ text: z.string() }),
  http: 'GET /v1/greetings/{name}',
  access: 'public',
});

export const Cards = greeter.pages('cards', { path: '/greetings', cookies: 'greetings' });

@Controller()
class GreetHandler {
  @Handles(Greet)
  async greet({ name }: Body<typeof Greet>) {
    return { text: `Hello, ${name}.` };
  }

  @Handles(Cards)
  async cards() {
    return { status: 200, headers: {}, body: 'Hello.' };
  }
}

@Service({ contract: greeter, handlers: [GreetHandler] })
export class GreeterModule {}
