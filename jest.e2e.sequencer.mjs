import Sequencer from '@jest/test-sequencer';

const longest = ['store', 'dense-store', 'tls', 'operations', 'fallbacks'];

const rank = ({ path }) => {
  const place = longest.findIndex((name) => /\/([\w-]+)\.(e2e|full)\.spec\.ts$/.exec(path)?.[1] === name);
  return place < 0 ? longest.length : place;
};

export default class LongestFirst extends Sequencer {
  sort(tests) {
    return [...tests].sort((a, b) => rank(a) - rank(b) || a.path.localeCompare(b.path));
  }
}
