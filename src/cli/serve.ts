/** `sumbi serve`: its options, what it prints, and how it ends. */
import { existsSync } from "node:fs";
import { hostname } from "node:os";
import type { Command } from "commander";
import pc from "picocolors";
import { resolveModel } from "../checkpoint/index.ts";
import { UsageError } from "../errors.ts";
import { parametersInWords } from "../format.ts";
import { RunReader } from "../runs/index.ts";
import {
  createApp,
  hasPages,
  headerOf,
  inflate,
  isLoopback,
  type LoadOptions,
  listen,
  loadModel,
  PAGES,
  pageRoutes,
  RequestReader,
  type RunningServer,
  type ServedModel,
} from "../serve/index.ts";
import { addDraftsOption, type DraftsFlags, draftsInWords } from "./draftsOption.ts";
import { addPrefixCacheOptions, type PrefixCacheFlags, prefixCacheOptions } from "./prefixCacheOption.ts";
import { printError, progressLine } from "./print.ts";
import { portNumber, quantity, wholeQuantity } from "./quantities.ts";
import { addWeightsOptions, type WeightsFlags, weightsInWords, weightsOptions } from "./weightsOption.ts";

export interface ServeOptions extends WeightsFlags, PrefixCacheFlags, DraftsFlags {
  host: string;
  /** As given; absent means 8080 or, when that is taken, the next free one. */
  port?: number;
  json?: boolean;
  runs: string;
  allowHost?: string[];
  allowOrigin?: string[];
  apiKey?: string[];
  /** Requests of one client under way; default 256. */
  clientRequests?: number;
  /** Seconds that a request may wait for its turn; default 60. */
  maxWait?: number;
  strict?: boolean;
  openMessage?: boolean;
}

const DEFAULT_PORT = 8080;

/** `sumbi serve MODEL`: the OpenAI API and the chat page. */
export function register(program: Command): void {
  const command = program
    .command("serve")
    .description("serve a model: a chat page in the browser, and OpenAI's API for programs")
    .argument("<model>", "a Hugging Face folder, a GGUF file, or the name of a bundled model");
  addDraftsOption(addPrefixCacheOptions(addWeightsOptions(command)))
    .option("--host <address>", "127.0.0.1: this machine only; 0.0.0.0: the whole network", "127.0.0.1")
    .option(
      "--port <number>",
      `port to listen on; 0 takes any free one (default: PORT of the environment, else ${DEFAULT_PORT} or the next free one)`,
      (text) => portNumber(text),
    )
    .option("--runs <dir>", "folder of training runs to show", "runs")
    .option("--allow-host <name...>", "host names that this server is reached by, besides localhost and addresses")
    .option("--allow-origin <origin...>", "web pages elsewhere that may use it, such as https://app.example")
    .option(
      "--api-key <key>",
      "a key that programs must send; may be given several times, or as SUMBI_API_KEY (several apart by commas)",
      (key: string, keys: string[] = []) => [...keys, key],
    )
    .option(
      "--client-requests <number>",
      "requests of one client under way, answered or waiting (default: 256)",
      (text) => wholeQuantity(text, "--client-requests"),
    )
    .option("--max-wait <seconds>", "how long a request may wait for its turn (default: 60)", (text) =>
      quantity(text, "--max-wait"),
    )
    .option("--strict", "refuse requests with parameters that mean nothing here, instead of naming them in a header")
    .option("--open-message", "tell how to open the chat page")
    .option("--json", "print the address as one JSON object")
    .action(async (model: string, options: ServeOptions) => {
      const line = progressLine();
      const running = await startServing(
        model,
        options,
        (dir) =>
          loadModel(dir, {
            ...weightsOptions(options),
            ...prefixCacheOptions(options),
            drafts: options.drafts,
            onProgress: line,
          }),
        (text) => process.stdout.write(text),
      );
      line.end();
      await interrupted();
      if (!options.json) process.stderr.write("\nending; answers still being written are cut off\n");
      await running.close();
    });
}

/** Loads, listens and prints the address. `close` ends running answers, then the server, then the model. */
export async function startServing(
  model: string,
  options: ServeOptions,
  load: (dir: string, options?: LoadOptions) => Promise<ServedModel>,
  print: (text: string) => void,
  warn: (text: string) => void = (text) => process.stderr.write(text),
): Promise<RunningServer> {
  const keys = keysOf(options.apiKey ?? [], process.env.SUMBI_API_KEY);
  const hosts = (options.allowHost ?? []).map(hostOf);
  const origins = (options.allowOrigin ?? []).map(originOf);
  const port = options.port ?? portOf(process.env.PORT);
  const served = await load(resolveModel(model));
  const reader = new RequestReader();
  const app = createApp({
    model: served,
    keys,
    strict: options.strict,
    onIgnored: onceEach((text) => warn(`${pc.yellow(text)}\n`)),
    queue: {
      clientRequests: options.clientRequests,
      ...(options.maxWait === undefined ? {} : { waitMs: options.maxWait * 1000 }),
    },
    parse: reader.parse,
    inflate,
    runs: new RunReader(options.runs),
    pages: hasPages(PAGES) ? pageRoutes(PAGES) : undefined,
    hosts: [
      options.host,
      ...(isLoopback(options.host) || options.host === "localhost" ? [] : [hostname(), `${hostname()}.local`]),
      ...hosts,
    ],
    origins,
    onError: (error, where) =>
      printError(`${where}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`),
  });
  let server: RunningServer;
  try {
    server = await listen(app, {
      host: options.host,
      port: port ?? DEFAULT_PORT,
      tryPorts: port === undefined ? 20 : 0,
    });
  } catch (error) {
    await served.engine.close();
    throw error;
  }
  const { id, parameters, contextTokens, weights } = served.info;
  if (options.json)
    print(
      `${JSON.stringify({ url: server.url, api: `${server.url}/v1`, model: id, host: server.host, port: server.port, weights })}\n`,
    );
  else {
    print(`${pc.bold(id)}: ${parametersInWords(parameters)}, context ${contextTokens}\n`);
    if (weights) print(`${pc.dim(weightsInWords(weights))}\n`);
    for (const note of served.info.notes ?? []) print(`${pc.dim(note)}\n`);
    if (port === undefined && server.port !== DEFAULT_PORT)
      print(`port ${DEFAULT_PORT} is taken, so it is ${server.port}\n`);
    print(`${options.openMessage ? "open this in a browser to chat:  " : "chat   "}${pc.cyan(server.url)}\n`);
    if (existsSync(options.runs)) print(`runs   ${pc.cyan(`${server.url}/runs`)}\n`);
    print(`API    ${pc.cyan(`${server.url}/v1`)}  (OpenAI's; ${keys.length > 0 ? "with a key" : "any key"})\n`);
    if (!hasPages(PAGES)) print(pc.yellow("the pages are not built (npm run build:web), so only the API answers\n"));
    print(pc.dim("Ctrl-C ends it\n"));
  }
  const warning = warningOf(options.host, keys);
  if (warning !== undefined) warn(pc.yellow(`${warning}\n`));
  return {
    ...server,
    async close(graceMs) {
      const fared = draftsInWords(served.engine.drafts);
      if (fared && !options.json) print(`${fared}\n`);
      const closing = served.engine.close();
      await server.close(graceMs);
      await Promise.all([closing, reader.close()]);
    },
  };
}

/** Says of fields that mean nothing here what they are, of each once. */
function onceEach(say: (text: string) => void): (names: readonly string[], where: string) => void {
  const said = new Set<string>();
  return (names, where) => {
    const fresh = names.filter((name) => !said.has(name));
    if (fresh.length === 0 || said.size >= MOST_SAID) return;
    for (const name of fresh) said.add(name);
    say(`${where}: passed over what is no parameter here: ${headerOf(fresh)} (said once each; --strict refuses it)`);
  };
}

const MOST_SAID = 256;

/** What must be said of a server that strangers can reach. */
export function warningOf(host: string, keys: readonly string[]): string | undefined {
  if (keys.length > 0 || isLoopback(host) || host === "localhost") return undefined;
  return "everyone on the network can use this server: it asks nobody for a key (--api-key, or SUMBI_API_KEY)";
}

/** Keys from options and from the environment (apart by commas or spaces). Throws UsageError for one that no header could carry. */
function keysOf(given: readonly string[], environment: string | undefined): string[] {
  const keys = [...given, ...(environment ?? "").split(/[\s,]+/).filter((key) => key !== "")];
  for (const key of keys)
    if (!/^[\x21-\x7e]+$/.test(key))
      throw new UsageError(
        "serve: --api-key: expected letters, digits and signs of ASCII without spaces; this key has others, or none",
      );
  return keys;
}

/** PORT, as hosts of containers and platforms set it. */
const portOf = (text: string | undefined): number | undefined =>
  text === undefined || text === "" ? undefined : portNumber(text, "PORT");

function hostOf(text: string): string {
  if (/^[^\s:/@[\]?#\\]+$/.test(text)) return text;
  throw new UsageError(`serve: --allow-host: expected a name without port, such as sumbi.lan, got ${text}`);
}

function originOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (text === "*") return text;
  if (url && (url.protocol === "http:" || url.protocol === "https:") && url.href === `${url.origin}/`)
    return url.origin;
  throw new UsageError(
    `serve: --allow-origin: expected the address of a site, such as https://app.example, or *, got ${text}`,
  );
}

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
