import type { Tree } from '@nx/devkit';
import { generateRequest, type RequestOptions } from './request.ts';

export default (tree: Tree, options: RequestOptions) => generateRequest(tree, 'query', options);
