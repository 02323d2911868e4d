import { type BusDescription } from '@jogakbo/messaging/grants';

export const platformEvents = ['instances.announced', 'instances.beat', 'instances.roll-call'];
export const gateway = 'gateway';

/** What the descriptions of the services permit. @param bus read at each call, because the builds come first */
export function readPermissions(bus: () => BusDescription[]) {
  const getDescription = (service: string) => bus().find((one) => one.service === service)!;
  const listRequests = () =>
    bus().flatMap(({ service, contracts }) =>
      contracts.filter(({ kind }) => kind !== 'event').map((one) => ({ ...one, owner: service })),
    );
  const listEvents = () => [
    ...bus().flatMap(({ service, contracts }) =>
      contracts.filter(({ kind }) => kind === 'event').map(({ name }) => ({ name, owner: service })),
    ),
    ...[...platformEvents, 'settings.told'].map((name) => ({ name, owner: 'platform' })),
  ];
  const listCalled = () => listRequests().flatMap(({ offered }) => offered?.asks ?? []);
  const listAwaited = () => listRequests().flatMap(({ offered }) => offered?.subscribesTo ?? []);
  const canCall = (service: string, { name, owner, offered }: ReturnType<typeof listRequests>[number]) =>
    owner === service ||
    getDescription(service).calls.includes(name) ||
    (service === gateway && (offered !== undefined || listCalled().includes(name)));
  const canSubscribe = (service: string, name: string, owner: string) =>
    owner === service ||
    platformEvents.includes(name) ||
    getDescription(service).subscribesTo.includes(name) ||
    (service === gateway && listAwaited().includes(name));
  return { getDescription, listRequests, listEvents, canCall, canSubscribe };
}
