import { describe, expect, it } from '@jest/globals';
import { until } from '../../src/jogakbo.ts';
import { type Store } from '../../src/store.ts';
import { buyOnce } from './buy-once.ts';

/** Must run last: it restarts services. */
export const recovery = (store: Store) =>
  describe('a store in dense mode, after attacks,', () => {
    const readServices = async () => (await store.listRows()).filter(({ url }) => url?.startsWith('http://'));

    it('restarts one service, and the others go on', async () => {
      const [before] = await readServices();
      const { code, output } = await store.run(['restart', 'inventory']);
      expect({ code, output }).toEqual({
        code: 0,
        output: expect.stringMatching(
          /^inventory is ready again\.\nIn dense mode it still runs the code that the process loaded at its start\./,
        ),
      });
      expect((await store.findRow('inventory'))?.pid).toBe(before!.pid);
      expect(await buyOnce(store)).toBe('201 confirmed');
    });

    it('comes back whole after its process was killed', async () => {
      const { pid } = (await store.findRow('orders'))!;
      process.kill(pid!, 'SIGKILL');
      await until(async () => {
        const rows = await readServices();
        return rows.length > 8 && rows.every((row) => row.state === 'ready' && row.pid !== pid);
      }, 60_000);
      expect(await buyOnce(store)).toBe('201 confirmed');
    });

    if (process.env['TEST_FULL'])
      it('reports which service has wrong settings, and starts nothing', async () => {
        expect((await store.run(['stop'])).code).toBe(0);
        const { code, output } = await store.run(['start', '--dense', '--detach', '--no-seed'], {
          LOG_LEVEL: 'loud',
        });
        expect(code).toBe(1);
        expect(output).toMatch(
          /settings of some services are invalid[^]*orders cannot start: 1 [^]*LOG_LEVEL/,
        );
        expect((await store.run(['ps'])).code).toBe(1);
      });
  });
