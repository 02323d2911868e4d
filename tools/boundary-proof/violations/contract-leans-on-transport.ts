// A contract (this project is tagged as one) that depends on the transport and on Nest. Lint must reject both.
import { exchanges } from '@jogakbo/messaging';
import { Logger } from '@nestjs/common';

export const violation = [exchanges, Logger];
