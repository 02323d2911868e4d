import { type AppManifest, parseAppManifest, WorkspaceConfig } from '@jogakbo/contract/workspace';
import type { BusDescription } from '@jogakbo/messaging/grants';
import type { ServiceDeclaration, WorkspaceDeclaration } from './declarations.ts';

type ManifestInput = Partial<Record<keyof AppManifest, unknown>>;

export function declareService(
  name: string,
  manifest: ManifestInput = {},
  bus: Partial<BusDescription> = {},
): ServiceDeclaration {
  return {
    name,
    version: '1.2.0',
    manifest: parseAppManifest({ owner: 'kitchen', ...manifest }, name),
    bus: {
      ...{ service: name, contracts: [], calls: [], subscribesTo: [], publishes: [], isGateway: false },
      ...bus,
    },
  };
}

export const declareWorkspace = (...services: ServiceDeclaration[]): WorkspaceDeclaration => ({
  facts: WorkspaceConfig.parse({ name: 'tearoom', languages: ['fr'], roles: ['taster'] }),
  services,
  servers: {
    rabbitmqImage: 'rabbitmq:4.0.0',
    postgresImage: 'postgres:18.0',
    administrator: 'operator',
    erlangArguments: '-any 1',
    createDatabases: '#!/bin/sh\n',
  },
});

/**
 * A gateway, a service with a database, queues, secrets and destinations of each kind, one that others call over HTTP, and
 * one that only receives events.
 */
export const tearoom = declareWorkspace(
  declareService(
    'gateway',
    {
      memory: 130,
      port: 3000,
      heap: { young: 16, old: 256 },
      settings: ['TOKEN_ISSUER', 'DENIED_UPSTREAMS'],
    },
    { isGateway: true },
  ),
  declareService(
    'gift-cards',
    {
      database: true,
      secrets: ['CONFIG_CLIENTS', 'PRINTER_KEY', 'UNUSED_KEY'],
      egress: [
        { to: 'printer', ports: [631], cidr: '192.0.2.0/24' },
        { to: 'bank', ports: [443] },
        { service: 'labels' },
      ],
      compose: { environment: { PRINTER_URL: '${PRINTER_URL:-}' }, secrets: { PRINTER_KEY: '' } },
    },
    {
      contracts: [
        { name: 'gift-cards.issue-card', kind: 'command' },
        { name: 'gift-cards.get-card', kind: 'query' },
        { name: 'gift-cards.card-issued', kind: 'event' },
      ],
      subscribesTo: ['labels.label-printed'],
    },
  ),
  declareService('labels', { port: 9000 }, { contracts: [{ name: 'labels.label-printed', kind: 'event' }] }),
  declareService('ledger', { scaleToZero: true }, { subscribesTo: ['gift-cards.card-issued'] }),
);
