// Runs `main.js migrate` of several services, one after the other, in one process: what they share is loaded once. Each
// service may end the process, as it ends its own. JavaScript, because Node's removal of types costs time.
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

async function migrate({ name, main, cwd, env }) {
  process.chdir(cwd);
  process.argv = [process.execPath, main, 'migrate'];
  process.env = env;
  process.send({ began: name });
  // The supervisor has then received all output of the previous service.
  await new Promise((begin) => process.once('message', begin));
  await import(pathToFileURL(resolve(main)).href);
  if (process.exitCode) process.exit();
}

process.once('message', async (services) => {
  for (const service of services) await migrate(service);
  process.disconnect();
});
