import { service, Timestamp } from '@jogakbo/contract';
import { z } from 'zod';

export const registry = service('registry', 'Who is there, where, and what each speaks.');

const Name = z
  .string()
  .regex(/^[a-z][\w.-]*$/)
  .max(60);

/** One instance, as it was last heard of. */
export const InstanceView = z.object({
  service: z.string(),
  version: z.string(),
  instance: z.string(),
  url: z.string(),
  /** How it is asked: over the bus, or over HTTP at its url. */
  upstream: z.enum(['bus', 'http']),
  /** `out`: it is there, and takes no work. */
  state: z.enum(['up', 'out']),
  startedAt: Timestamp,
  /** Share of its time that it was busy of late, where it says so. */
  load: z.number().min(0).max(1).optional(),
  contractHash: z.string(),
});
export type InstanceView = z.infer<typeof InstanceView>;

/** One contract that was spoken under one version. */
export const ContractVersion = z.object({
  version: z.string(),
  /** SHA-256 of the contract, whatever the order of its fields. */
  hash: z.string(),
  firstSeen: Timestamp,
  lastSeen: Timestamp,
});
export type ContractVersion = z.infer<typeof ContractVersion>;

export const ListInstances = registry.query('list-instances', {
  description: 'Every instance that is there now, or those of one service.',
  input: z.strictObject({ service: Name.optional() }),
  output: z.object({ items: z.array(InstanceView) }),
  http: 'GET /v1/ops/instances',
  access: 'operator',
});

export const ListContractVersions = registry.query('list-contract-versions', {
  description: 'What a service spoke, version by version, the one that was seen last first.',
  input: z.strictObject({ service: Name }),
  output: z.object({ items: z.array(ContractVersion) }),
  http: 'GET /v1/ops/contracts/{service}',
  access: 'operator',
});
