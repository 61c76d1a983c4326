/** `sumbi tokenizer`: a vocabulary trained, and texts encoded by one. */
import { existsSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { checkTakeable, checkWritable, ownedFolder, resolveModel } from "../checkpoint/index.ts";
import {
  type Document,
  describeLeftOut,
  emptyReading,
  findSources,
  leaveOut,
  leftOutTotal,
  loadTokenizer,
  readDocuments,
  within,
} from "../data/index.ts";
import { UsageError } from "../errors.ts";
import { trainTokenizer } from "../tokenizer/index.ts";
import { count, progressLine } from "./print.ts";
import { listenForStop } from "./stop.ts";

/** As long as the server gives a request: a tokenizer's expressions are a program of whoever made the folder. */
const ENCODE_MILLIS = 10_000;

/** `sumbi tokenizer train` and `sumbi tokenizer encode`. */
export function register(program: Command): void {
  const tokenizer = program.command("tokenizer").description("train a tokenizer, or look at what one does");
  tokenizer.exitOverride();
  tokenizer
    .command("train")
    .description(
      "learn a byte-level BPE with DeepSeek-V3's rules from .txt, .jsonl and .parquet files, folders, globs or builtin:english, builtin:arithmetic, builtin:conversations, builtin:smalltalk",
    )
    .argument("<paths...>", "what to learn from")
    .requiredOption("--vocab-size <n>", "tokens in all", wholeNumber)
    .requiredOption("--out <dir>", "folder for tokenizer.json and tokenizer_config.json")
    .option(
      "--overwrite",
      "replace a tokenizer that Sumbi wrote into that folder before; nobody else's files are ever touched",
    )
    .option(
      "--digits <1|3>",
      "digits that may share a token: 3 as in V3, 1 for small models that calculate",
      wholeNumber,
      3,
    )
    .option("--min-frequency <n>", "pairs rarer than this are not merged", wholeNumber, 2)
    .option("--skip-broken", "leave out lines that cannot be read instead of ending")
    .option("--json", "one JSON object on stdout")
    .exitOverride()
    .action(async (paths: string[], options) => {
      if (options.digits !== 1 && options.digits !== 3)
        throw new UsageError(`--digits: expected 1 or 3, got ${options.digits}`);
      if (options.out.trim() === "") throw new UsageError("--out: expected a folder, got an empty text");
      const sources = findSources(paths);
      const dir = resolve(options.out);
      const where = `--out ${options.out}`;
      await checkTakeable(dir, "tokenizer", { where, overwrite: options.overwrite === true });
      await checkWritable(dir, where);
      const stop = listenForStop(() => "ending; nothing has been written");
      const line = progressLine();
      const reading = emptyReading();
      const documents = readDocuments(paths, {
        onBroken: options.skipBroken ? "skip" : "fail",
        report: (broken) => leaveOut(reading, broken),
      });
      const trained = await trainTokenizer(textsOf(documents), {
        vocabSize: options.vocabSize,
        digits: options.digits,
        minFrequency: options.minFrequency,
        totalChars: sources.reduce((sum, source) => sum + source.bytes, 0),
        onProgress: line,
        signal: stop.signal,
      }).finally(() => {
        line.end();
        stop.end();
      });
      const skipped = leftOutTotal(reading);
      const left = describeLeftOut(reading);
      if (left !== undefined) process.stderr.write(`${left}\n`);
      const write = async (folder: string) => {
        await writeFile(join(folder, "tokenizer.json"), JSON.stringify(trained.tokenizerJson, null, 1));
        await writeFile(join(folder, "tokenizer_config.json"), JSON.stringify(trained.tokenizerConfig, null, 2));
      };
      await ownedFolder(dir, write, { origin: { kind: "tokenizer" }, overwrite: options.overwrite });
      const { words, vocabSize } = trained;
      if (options.json) process.stdout.write(`${JSON.stringify({ out: dir, vocabSize, words, skipped })}\n`);
      else {
        process.stdout.write(
          `${vocabSize} tokens from ${count(words.total)} words (${count(words.distinct)} distinct) in ${dir}\n`,
        );
        if (vocabSize < options.vocabSize)
          process.stdout.write(
            `the text has no more pairs worth merging, so these are fewer than the ${options.vocabSize} asked for\n`,
          );
      }
    });
  tokenizer
    .command("encode")
    .description("show how a text is cut into tokens")
    .argument("<model>", "a folder with a tokenizer.json, or a bundled model")
    .argument("[text]", "the text; without it, stdin")
    .option("--no-special", "take the text of special tokens as plain text")
    .option("--json", "one JSON object on stdout")
    .exitOverride()
    .action((model: string, text: string | undefined, options) => {
      const loaded = loadTokenizer(existsSync(model) ? model : resolveModel(model));
      const input = text ?? readFileSync(0, "utf8");
      const ids = within(ENCODE_MILLIS, "tokenizer encode", () => loaded.encode(input, { special: options.special }));
      if (options.json)
        process.stdout.write(`${JSON.stringify({ ids, tokens: ids.map((id) => loaded.tokenOf(id)) })}\n`);
      else {
        for (const id of ids)
          process.stdout.write(`${String(id).padStart(7)}  ${JSON.stringify(loaded.decode([id]))}\n`);
        process.stdout.write(`${ids.length} tokens, ${input.length} characters\n`);
      }
    });
}

async function* textsOf(documents: AsyncIterable<Document>): AsyncGenerator<string> {
  for await (const document of documents) {
    if ("text" in document) yield document.text;
    else for (const message of document.messages) yield `${message.reasoning_content ?? ""}${message.content}`;
  }
}

function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new UsageError(`expected a whole number, got ${text}`);
  return Number(text);
}
