// A platform project (this project is tagged as one) that depends on the contract of a product. Lint must reject it.
import { notes } from '@jogakbo/contracts-notes';

export const violation = [notes];
