/** Makes an action of commander from a command: its result becomes the exit code of the process. */
export const withExitCode =
  <Parameters extends unknown[]>(work: (...parameters: Parameters) => Promise<number>) =>
  async (...parameters: Parameters): Promise<void> => {
    process.exitCode = await work(...parameters);
  };
