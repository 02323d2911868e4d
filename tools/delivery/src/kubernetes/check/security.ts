import type { IContainer } from 'kubernetes-models/v1/Container';
import { labelKeys } from '../objects.ts';
import { listContainers, type Pods } from './pods.ts';

/** `registry.example:5000/name:tag@sha256:digest` without the tag and the digest. */
const imagePattern = /^(?<name>[^@]+?)(?::(?<tag>[\w][\w.-]{0,127}))?(?:@(?<digest>sha256:[0-9a-f]{64}))?$/;

/**
 * Finds what the Pod Security Standard "restricted" forbids, containers without memory limits, images without an exact
 * version, and pods that are killed before they have drained.
 */
export const checkPods = (pods: readonly Pods[]): string[] =>
  pods.flatMap((one) =>
    one.spec
      ? [...checkPod(one), ...listContainers(one).flatMap((container) => checkContainer(one, container))]
      : [],
  );

/** Seconds that a service takes to drain: `serve()` in libs/service. */
const drainSeconds = 10;

function checkPod({ owner, labels, spec }: Pods): string[] {
  const { securityContext: security, terminationGracePeriodSeconds = 30 } = spec!;
  const preStop = Math.max(
    0,
    ...spec!.containers.map(({ lifecycle }) => lifecycle?.preStop?.sleep?.seconds ?? 0),
  );
  const isService = labels[labelKeys.component] === 'service';
  return [
    ...(security?.runAsNonRoot === true ? [] : [`${owner}: securityContext.runAsNonRoot must be true`]),
    ...(security?.seccompProfile?.type === 'RuntimeDefault'
      ? []
      : [`${owner}: securityContext.seccompProfile.type must be RuntimeDefault`]),
    ...(spec!.automountServiceAccountToken === false
      ? []
      : [`${owner}: automountServiceAccountToken must be false: no service uses the Kubernetes API`]),
    ...(isService && terminationGracePeriodSeconds < preStop + drainSeconds
      ? [
          `${owner}: terminationGracePeriodSeconds is ${terminationGracePeriodSeconds}: preStop and the drain of the ` +
            `service take ${preStop + drainSeconds} s`,
        ]
      : []),
  ];
}

function checkContainer({ owner, labels }: Pods, container: IContainer): string[] {
  const { name, image = '', securityContext: security, resources } = container;
  const isOwn = labels[labelKeys.component] !== undefined;
  const require = (isMet: boolean, what: string) => (isMet ? [] : [`${owner}: container ${name}: ${what}`]);
  return [
    ...require(security?.allowPrivilegeEscalation === false, 'allowPrivilegeEscalation must be false'),
    ...require(security?.capabilities?.drop?.includes('ALL') === true, 'capabilities.drop must contain ALL'),
    ...require(!isOwn || security?.readOnlyRootFilesystem === true, 'readOnlyRootFilesystem must be true'),
    ...require(resources?.limits?.memory !== undefined, 'resources.limits.memory is missing'),
    ...checkImage(image).flatMap((problem) => require(false, problem)),
  ];
}

function checkImage(image: string): string[] {
  const { tag, digest } = imagePattern.exec(image)?.groups ?? {};
  if (digest || (tag && tag !== 'latest')) return [];
  return [`the image "${image}" has no exact version: give it a tag other than latest, or a digest`];
}
