/** `sumbi pull ORG/NAME[:QUANT]`: a model of a hub into the shared cache. */
import type { Command } from "commander";
import { parseHubName } from "../checkpoint/index.ts";
import { UsageError } from "../errors.ts";
import { hubOf, pull } from "../hub/index.ts";
import { bytes, progressLine, shellCommand } from "./print.ts";
import { listenForStop } from "./stop.ts";

interface PullCommand {
  revision?: string;
  json?: boolean;
}

export function register(program: Command): void {
  program
    .command("pull")
    .description(
      "pull a model of a hub into the cache that Hugging Face's tools share, to be named as ORG/NAME from then on",
    )
    .argument("<model>", "ORG/NAME, or ORG/NAME:QUANT for one of its GGUF files: Qwen/Qwen2.5-0.5B-Instruct-GGUF:q4_0")
    .option("--revision <name>", "a branch, a tag or a commit (default: main)")
    .option("--json", "one JSON object on stdout")
    .action(async (model: string, options: PullCommand) => {
      const name = parseHubName(model);
      if (name === undefined) throw new UsageError(`pull: expected ORG/NAME or ORG/NAME:QUANT, got ${model}`);
      const { revision } = options;
      if (revision !== undefined && !REVISION.test(revision))
        throw new UsageError(`pull: --revision: expected a branch, a tag or a commit, got ${revision}`);
      const line = progressLine();
      const stop = listenForStop(() => "stopping; the same command goes on from here");
      try {
        const done = await pull({ ...hubOf(), signal: stop.signal }, name, { revision, onProgress: line }).finally(() =>
          line.end(),
        );
        if (options.json) return void process.stdout.write(`${JSON.stringify(done)}\n`);
        const came = done.downloaded === 0 ? "all of it was there" : `${bytes(done.downloaded)} of it came now`;
        process.stdout.write(
          `${done.files.length} files (${bytes(done.bytes)}, ${came}) of ${done.commit.slice(0, 7)} in ${done.path}. Talk to it: ${shellCommand("chat", revision === undefined ? model : done.path)}\n`,
        );
      } finally {
        stop.end();
      }
    });
}

/** Names that are folders nowhere else. */
const REVISION = /^(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._/-]{0,200}$/;
