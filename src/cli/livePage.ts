/** The live page of a run, served from the process that trains. */
import { RunReader } from "../runs/index.ts";
import { createApp, hasPages, listen, PAGES, pageRoutes, type RunningServer } from "../serve/index.ts";

/** Pages and runs on this machine's own address, at the next free port. */
export const livePage = ({ runs, port }: { runs: string; port: number }): Promise<RunningServer> =>
  listen(createApp({ runs: new RunReader(runs), pages: hasPages(PAGES) ? pageRoutes(PAGES) : undefined }), {
    host: "127.0.0.1",
    port,
    tryPorts: 20,
  });
