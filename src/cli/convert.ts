/** `sumbi convert IN OUT`: a Hugging Face folder into a GGUF file for llama.cpp, or back. */
import { statSync } from "node:fs";
import { type Command, Option } from "commander";
import { CONVERTED_TYPES, type ConvertedType, convertModel, resolveModel } from "../checkpoint/index.ts";
import { UsageError } from "../errors.ts";
import { bytes, progressLine, shellCommand } from "./print.ts";
import { shortPath } from "./trainEnd.ts";

interface ConvertCommand {
  type?: ConvertedType;
  overwrite?: boolean;
  adapter?: string;
  json?: boolean;
}

export function register(program: Command): void {
  program
    .command("convert")
    .description("write a model as a GGUF file (OUT ends in .gguf) or as a Hugging Face folder")
    .argument("<in>", "a Hugging Face folder, a GGUF file, or the name of a bundled model")
    .argument("<out>", "where the model is written")
    .addOption(
      new Option(
        "--type <type>",
        "of the matrices: f32, f16, q8_0, q4_0 in a GGUF file (default: f16); f32, f16, bf16 in a folder (default: as they are, f32 for blocks)",
      ).choices(CONVERTED_TYPES),
    )
    .option("--adapter <dir>", "an adapter of this model (PEFT's LoRA), to be merged into its weights")
    .option("--overwrite", "replace a model that Sumbi wrote there before; nobody else's files are ever touched")
    .option("--json", "one JSON object on stdout")
    .action(async (model: string, to: string, options: ConvertCommand) => {
      if (to.trim() === "") throw new UsageError("convert: OUT: expected a path, got an empty text");
      const line = progressLine();
      const { overwrite, type, adapter } = options;
      const done = await convertModel(resolveModel(model), to, { type, overwrite, adapter, onProgress: line }).finally(
        () => line.end(),
      );
      if (options.json) return void process.stdout.write(`${JSON.stringify(done)}\n`);
      for (const note of done.notes) process.stderr.write(`${note}\n`);
      const size = done.form === "gguf" ? `, ${bytes(statSync(done.out).size)}` : "";
      process.stdout.write(
        `${done.tensors} tensors (${done.type}${size}) in ${shortPath(done.out)}. Talk to it: ${shellCommand("chat", shortPath(done.out))}\n`,
      );
    });
}
