/** Names of runs: what may be one. */

/** Whether a name could be a run's id. */
export const isRunId = (id: string): boolean => /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(id);
