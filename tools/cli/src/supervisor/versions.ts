import { readContents } from '@jogakbo/delivery/src/content.ts';
import { DeliveryError } from '@jogakbo/delivery/src/delivery-error.ts';
import { root } from '../workspace.ts';

/**
 * The versions of all services of the workspace as it is now, by name. Without a package-lock.json that fits, which a
 * start does not need, there are none: each service then has the version of its package.json.
 */
export async function readVersions(report: (text: string) => void): Promise<Record<string, string>> {
  try {
    const contents = await readContents(root);
    return Object.fromEntries([...contents.values()].map(({ service, version }) => [service, version]));
  } catch (error) {
    if (!(error instanceof DeliveryError)) throw error;
    report(`The services have the versions of their package.json. ${error.message}`);
    return {};
  }
}
