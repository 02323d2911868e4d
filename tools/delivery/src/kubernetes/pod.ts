import type { ISecurityContext } from 'kubernetes-models/v1/SecurityContext';
import type { IContainer } from 'kubernetes-models/v1/Container';
import type { IPodSpec } from 'kubernetes-models/v1/PodSpec';

/** The user `node` of the images. A number: Kubernetes cannot check that a name is not root's. */
const user = 1000;
/**
 * Services may read files in /run/secrets that all users of the container may read: `readSetting` in libs/service. A folder
 * in it, because Podman, OpenShift and service meshes mount their own files there.
 */
export const secretsFolder = '/run/secrets/service';
const secretsVolume = 'secrets';
/** The only writable folder. */
const temporaryFolder = '/tmp';

/** The Pod Security Standard "restricted", for one container. */
export const containerSecurity: ISecurityContext = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
};

/** What all pods of this workspace share. */
export const buildPodSecurity = (id = user): Partial<IPodSpec> => ({
  // The volume of Secrets belongs to root: the group may read it.
  securityContext: {
    runAsNonRoot: true,
    runAsUser: id,
    runAsGroup: id,
    fsGroup: id,
    seccompProfile: { type: 'RuntimeDefault' },
  },
  automountServiceAccountToken: false,
  // Otherwise each Service becomes variables of every container, such as CONFIG_PORT.
  enableServiceLinks: false,
});

/** The container of a service or of a deploy step, with the Secret mounted as files, and the pod around it. */
export function buildPodSpec(container: IContainer, secret: string): IPodSpec {
  return {
    ...buildPodSecurity(),
    containers: [
      {
        imagePullPolicy: 'IfNotPresent',
        ...container,
        securityContext: { ...containerSecurity, readOnlyRootFilesystem: true },
        volumeMounts: [
          { name: secretsVolume, mountPath: secretsFolder, readOnly: true },
          { name: 'tmp', mountPath: temporaryFolder },
        ],
      },
    ],
    volumes: [
      { name: secretsVolume, secret: { secretName: secret, defaultMode: 0o440 } },
      { name: 'tmp', emptyDir: { sizeLimit: '64Mi' } },
    ],
  };
}

/** A setting that a service reads from a key of its Secret, under the key's name in lower case. */
export const readFromFile = (setting: string, key = setting.toLowerCase()) => ({
  name: `${setting}_FILE`,
  value: `${secretsFolder}/${key}`,
});
