import { Enums, Models, Serialize, Spec, SPDX } from '@cyclonedx/cyclonedx-library';
import type { ServiceContent } from './content.ts';
import type { LockedPackage, ProductionClosure } from './lock-file.ts';

/**
 * The software bill of materials of a service, as CycloneDX 1.6 in JSON: every third-party package with its licence, its
 * hash and what it depends on. It is the same for the same content, so it has neither a time nor a serial number.
 */
export function renderBom({ service, version }: ServiceContent, closure: ProductionClosure): string {
  const components = new Map([...closure.packages.values()].map((one) => [one.path, toComponent(one)]));
  for (const { path, dependencies } of closure.packages.values())
    for (const dependency of dependencies)
      components.get(path)!.dependencies.add(components.get(dependency)!.bomRef);
  const root = new Models.Component(Enums.ComponentType.Application, service, { version, bomRef: service });
  for (const path of [...closure.declared.values()].flat())
    root.dependencies.add(components.get(path)!.bomRef);
  const bom = new Models.Bom({
    metadata: new Models.Metadata({ component: root }),
    components: new Models.ComponentRepository(components.values()),
  });
  const serializer = new Serialize.JsonSerializer(new Serialize.JSON.Normalize.Factory(Spec.Spec1dot6));
  return `${serializer.serialize(bom, { sortLists: true, space: 2 })}\n`;
}

function toComponent({ path, name, version, integrity, license }: LockedPackage): Models.Component {
  const [scope, plain] = name.startsWith('@') ? name.split('/') : [undefined, name];
  const [algorithm, digest] = integrity.split('-');
  return new Models.Component(Enums.ComponentType.Library, plain!, {
    ...(scope && { group: scope }),
    version,
    bomRef: path,
    purl: `pkg:npm/${scope ? `%40${scope.slice(1)}/` : ''}${plain}@${version}`,
    hashes: new Models.HashDictionary(
      algorithm === 'sha512'
        ? [[Enums.HashAlgorithm['SHA-512'], Buffer.from(digest!, 'base64').toString('hex')]]
        : [],
    ),
    licenses: new Models.LicenseRepository(license ? [toLicense(license)] : []),
  });
}

function toLicense(license: string): Models.License {
  if (SPDX.isSupportedSpdxId(license)) return new Models.SpdxLicense(license);
  return / (OR|AND|WITH) /.test(license)
    ? new Models.LicenseExpression(license)
    : new Models.NamedLicense(license);
}
