/** The command line: one verb, of which alone the code is loaded; faults as one line and an exit status. */
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { StopError, SumbiError, UsageError } from "../errors.ts";
import { printError } from "./print.ts";

type Register = (program: Command) => void;

const VERBS: Record<string, () => Promise<{ register: Register }>> = {
  inspect: () => import("./inspect.ts"),
  tokenizer: () => import("./tokenizer.ts"),
  serve: () => import("./serve.ts"),
  chat: () => import("./chat.ts"),
  train: () => import("./train.ts"),
  reason: () => import("./reason.ts"),
  evaluate: () => import("./evaluate.ts"),
  runs: () => import("./runs.ts"),
  chips: () => import("./chips.ts"),
  audit: () => import("./audit.ts"),
  plan: () => import("./plan.ts"),
  compare: () => import("./compare.ts"),
  convert: () => import("./convert.ts"),
  pull: () => import("./pull.ts"),
};

/** The verbs that a command line needs: its own, none for the version, all for help and for words that are none. */
async function verbsOf(word: string | undefined): Promise<Register[]> {
  if (word === "--version" || word === "-V") return [];
  const names = word !== undefined && Object.hasOwn(VERBS, word) ? [word] : Object.keys(VERBS);
  return Promise.all(names.map(async (name) => (await VERBS[name]!()).register));
}

const version = (): string =>
  (JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string }).version;

/** Runs one command line; returns the exit status: 0 done, 1 failed, 2 wrong usage, 130 stopped. */
export async function main(argv: string[]): Promise<number> {
  const program = new Command("sumbi")
    .description("Train a DeepSeek-V3 model, teach it to reason, serve it, and say what it costs.")
    .version(version())
    .showHelpAfterError("(sumbi <verb> --help shows what it takes)")
    .exitOverride();
  for (const register of await verbsOf(argv[2])) register(program);
  for (const verb of program.commands) verb.exitOverride();
  try {
    await program.parseAsync(argv);
    return typeof process.exitCode === "number" ? process.exitCode : 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (error instanceof StopError) return 130;
    if (error instanceof SumbiError) {
      printError(error.message);
      return error instanceof UsageError ? 2 : 1;
    }
    if (isSystemError(error)) {
      printError(`${error.path ?? error.syscall}: ${error.message}`);
      return 1;
    }
    throw error;
  }
}

/** What the operating system refused: a file that is missing, closed or full. It is no fault of the program and needs no stack. */
function isSystemError(error: unknown): error is NodeJS.ErrnoException & { path?: string } {
  return error instanceof Error && "syscall" in error && "code" in error;
}
