import { listApps } from '@jogakbo/cli/src/workspace.ts';

const apps = listApps();

/** All services that a fault may affect. */
export const services: readonly string[] = apps.map(({ name }) => name);

/** The services with their own database, outbox, inbox and queues. */
export const stateful: readonly string[] = apps.flatMap(({ name, hasDatabase }) => (hasDatabase ? name : []));
