import { existsSync } from "node:fs";
import { hostname } from "node:os";
import type { Command } from "commander";
import pc from "picocolors";
import { RunReader } from "../runs/index.ts";
import { UsageError } from "../errors.ts";
import { createApp } from "../serve/app.ts";

import { loadModel, resolveModel, type LoadOptions } from "../serve/load.ts";
import { hasPages, pageRoutes, PAGES } from "../serve/pages.ts";
import type { ServedModel } from "../serve/served.ts";
import { listen, type RunningServer } from "../serve/server.ts";
import { parametersInWords } from "../format.ts";
import { printError, progressLine } from "./print.ts";

export interface ServeOptions {
  host: string;
  /** As given; absent means 8080 or, when that is taken, the next free one. */
  port?: number;
  json?: boolean;
  runs: string;
  allowHost?: string[];
  allowOrigin?: string[];
  openMessage?: boolean;
}

const DEFAULT_PORT = 8080;

/** `sumbi serve MODEL`: the OpenAI API and the chat page. */
export function register(program: Command): void {
  program
    .command("serve")
    .description("serve a model: a chat page in the browser, and OpenAI's API for programs")
    .argument("<model>", "a Hugging Face folder, or the name of a bundled model")
    .option("--host <address>", "127.0.0.1: this machine only; 0.0.0.0: the whole network", "127.0.0.1")
    .option("--port <number>", `port to listen on; 0 takes any free one (default: ${DEFAULT_PORT}, or the next free one)`, parsePort)
    .option("--runs <dir>", "folder of training runs to show", "runs")
    .option("--allow-host <name...>", "host names that this server is reached by, besides localhost and addresses")
    .option("--allow-origin <origin...>", "web pages elsewhere that may use it, such as https://app.example")
    .option("--open-message", "tell how to open the chat page")
    .option("--json", "print the address as one JSON object")
    .action(async (model: string, options: ServeOptions) => {
      const line = progressLine();
      const running = await startServing(model, options, (dir) => loadModel(dir, { onProgress: line }), (text) => process.stdout.write(text));
      line.end();
      await interrupted();
      if (!options.json) process.stderr.write("\nending; answers still being written are cut off\n");
      await running.close();
    });
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port > 65_535) throw new UsageError(`serve: --port: expected a number from 0 to 65535, got ${text}`);
  return port;
}

/** Loads, listens and prints the address. `close` ends running answers, then the server, then the model. */
export async function startServing(
  model: string,
  options: ServeOptions,
  load: (dir: string, options?: LoadOptions) => Promise<ServedModel>,
  print: (text: string) => void,
): Promise<RunningServer> {
  const served = await load(resolveModel(model));
  const app = createApp({
    model: served,
    runs: new RunReader(options.runs),
    pages: hasPages(PAGES) ? pageRoutes(PAGES) : undefined,
    hosts: [options.host, ...(isLoopback(options.host) ? [] : [hostname(), `${hostname()}.local`]), ...(options.allowHost ?? [])],
    origins: options.allowOrigin,
    onError: (error, where) => printError(`${where}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`),
  });
  let server: RunningServer;
  try {
    server = await listen(app, { host: options.host, port: options.port ?? DEFAULT_PORT, tryPorts: options.port === undefined ? 20 : 0 });
  } catch (error) {
    await served.engine.close();
    throw error;
  }
  const { id, parameters, contextTokens } = served.info;
  if (options.json) print(`${JSON.stringify({ url: server.url, api: `${server.url}/v1`, model: id, host: server.host, port: server.port })}\n`);
  else {
    print(`${pc.bold(id)}: ${parametersInWords(parameters)}, context ${contextTokens}\n`);
    for (const note of served.info.notes ?? []) print(`${pc.dim(note)}\n`);
    if (options.port === undefined && server.port !== DEFAULT_PORT) print(`port ${DEFAULT_PORT} is taken, so it is ${server.port}\n`);
    print(`${options.openMessage ? "open this in a browser to chat:  " : "chat   "}${pc.cyan(server.url)}\n`);
    if (existsSync(options.runs)) print(`runs   ${pc.cyan(`${server.url}/runs`)}\n`);
    print(`API    ${pc.cyan(`${server.url}/v1`)}  (OpenAI's; any key)\n`);
    if (!hasPages(PAGES)) print(pc.yellow("the pages are not built (npm run build:web), so only the API answers\n"));
    if (!isLoopback(options.host)) print(pc.yellow("everyone on the network can use this server: it asks nobody for a key\n"));
    print(pc.dim("Ctrl-C ends it\n"));
  }
  return {
    ...server,
    async close(graceMs) {
      const closing = served.engine.close();
      await server.close(graceMs);
      await closing;
    },
  };
}

const isLoopback = (host: string): boolean => host === "localhost" || host === "::1" || host.startsWith("127.");

/** Resolves at the first Ctrl-C or SIGTERM; a second one ends the process at once. */
function interrupted(): Promise<void> {
  return new Promise((resolve) => {
    let asked = false;
    const stop = (): void => {
      if (asked) process.exit(130);
      asked = true;
      resolve();
    };
    process.on("SIGINT", stop);
    process.on("SIGTERM", stop);
  });
}
