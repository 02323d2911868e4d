import { z } from 'zod';

const Metadata = z.strictObject({
  name: z.string(),
  namespace: z.string().optional(),
  labels: z.record(z.string(), z.string()).optional(),
  annotations: z.record(z.string(), z.string()).optional(),
});
const Quantities = z.partialRecord(z.enum(['cpu', 'memory']), z.string());

/**
 * The fields of RabbitmqCluster that this workspace uses: no npm package has the schema of the RabbitMQ cluster operator.
 * Source: https://github.com/rabbitmq/cluster-operator/blob/main/api/v1beta1/rabbitmqcluster_types.go
 */
const RabbitmqCluster = z.strictObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: Metadata,
  spec: z.strictObject({
    replicas: z.int().min(0).optional(),
    image: z.string().optional(),
    secretBackend: z.strictObject({ externalSecret: z.strictObject({ name: z.string() }) }).optional(),
    tls: z
      .strictObject({
        secretName: z.string().optional(),
        caSecretName: z.string().optional(),
        disableNonTLSListeners: z.boolean().optional(),
      })
      .optional(),
    persistence: z
      .strictObject({ storage: z.string().optional(), storageClassName: z.string().optional() })
      .optional(),
    resources: z.strictObject({ requests: Quantities.optional(), limits: Quantities.optional() }).optional(),
    rabbitmq: z
      .strictObject({
        additionalConfig: z.string().max(100_000).optional(),
        additionalPlugins: z.array(z.string().regex(/^\w+$/)).max(100).optional(),
      })
      .optional(),
    terminationGracePeriodSeconds: z.int().min(0).optional(),
  }),
});

/** The fields of Istio's PeerAuthentication that this workspace uses. Istio's package is large, and this is its only use. */
const PeerAuthentication = z.strictObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: Metadata,
  spec: z.strictObject({
    mtls: z.strictObject({ mode: z.enum(['STRICT', 'PERMISSIVE', 'DISABLE', 'UNSET']) }),
  }),
});

/** By apiVersion and kind. */
export const ownSchemas: Readonly<Record<string, z.ZodType>> = {
  'rabbitmq.com/v1beta1 RabbitmqCluster': RabbitmqCluster,
  'security.istio.io/v1 PeerAuthentication': PeerAuthentication,
};
