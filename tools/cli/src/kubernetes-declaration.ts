import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readWorkspaceConfig } from '@jogakbo/contract/workspace';
import type { WorkspaceDeclaration } from '@jogakbo/delivery/src/kubernetes/declarations.ts';
import { administratorLogin } from './backing/backing-service.ts';
import { image as rabbitmqImage } from './backing/rabbitmq/docker-broker.ts';
import { deadLetterArguments } from './backing/rabbitmq/retry-delays.ts';
import { readBus, readBusDescriptions } from './bus-descriptions.ts';
import { postgresImage } from './compose/compose-backing.ts';
import { type App, listApps, root } from './workspace.ts';

/**
 * What the Kubernetes objects are derived from: the declarations of all services, with what their builds describe.
 * @param workspace has jogakbo.config.ts and deploy/create-databases.sh
 * @throws CliError if a service is not built
 */
export async function readWorkspaceDeclaration(
  apps: readonly App[] = listApps(),
  workspace = root,
): Promise<WorkspaceDeclaration> {
  readBusDescriptions(apps, apps);
  return {
    facts: await readWorkspaceConfig(workspace),
    services: apps.map((app) => ({
      name: app.name,
      version: app.version,
      manifest: app.manifest,
      bus: readBus(app)!,
    })),
    servers: {
      rabbitmqImage,
      postgresImage,
      administrator: administratorLogin,
      erlangArguments: deadLetterArguments,
      createDatabases: readFileSync(join(workspace, 'deploy', 'create-databases.sh'), 'utf8'),
    },
  };
}

/** The version of the workspace, which the deploy step for the broker has. */
export const readWorkspaceVersion = (workspace = root): string =>
  (JSON.parse(readFileSync(join(workspace, 'package.json'), 'utf8')) as { version: string }).version;
