import { existsSync } from 'node:fs';
import { localEnvironment } from '@jogakbo/contract/workspace';
import { findReadyStore } from '../commands/operator-client.ts';
import { ControlClient } from '../supervisor/control-client.ts';
import { openState } from '../supervisor/state.ts';
import { CliError } from '../terminal/cli-error.ts';
import { listApps } from '../workspace.ts';
import { lockDeployments, openHistory } from './deployments.ts';
import type { Environment } from './environment.ts';
import { hasPlatform, openEngine } from './open-engine.ts';
import { getReleaseFolder, keepReleases, readRunningReleases } from './releases.ts';

/** The store of `npm start`. */
export function openLocalEnvironment(): Environment {
  const state = openState();
  return {
    name: localEnvironment,
    history: openHistory(state),
    undoesItself: true,
    watchSeconds: 1.5,
    get gateway() {
      return hasPlatform(findReadyStore(state)) ? {} : undefined;
    },
    async assertReady() {
      if (findReadyStore(state).dense)
        throw new CliError('In dense mode all services share one process, so none can be deployed alone.', {
          remedies: ['start the store without --dense'],
        });
    },
    readRunning: async () => readRunningReleases(state),
    lock: (waitMs) => lockDeployments(state, waitMs),
    async prepare(contents) {
      keepReleases(
        state,
        contents.map(({ service }) => service),
      );
    },
    findMissing: async (release) =>
      existsSync(getReleaseFolder(state, release)) ? undefined : 'its artefact does not exist any more',
    getMemory: (release) => listApps(getReleaseFolder(state, release))[0]?.manifest.memory,
    open: (work) => openEngine(state, work),
    async scale(service, count) {
      findReadyStore(state);
      const control = await ControlClient.open(state);
      try {
        await control.scale(service, count);
        return 'until the store stops';
      } finally {
        control.close();
      }
    },
  };
}
