import { Command, CommanderError } from "commander";
import { StopError, SumbiError, UsageError } from "../errors.ts";
import { printError } from "./print.ts";

/** Runs one command line; returns the exit status: 0 done, 1 failed, 2 wrong usage, 130 stopped. */
export async function main(argv: string[]): Promise<number> {
  const program = new Command("sumbi")
    .description("Train a DeepSeek-V3 model, teach it to reason, serve it, and say what it costs.")
    .showHelpAfterError("(sumbi <verb> --help shows what it takes)")
    .exitOverride();
  const verbs: ((program: Command) => void)[] = await Promise.all([
    import("./inspect.ts").then((m) => m.register),
    import("./tokenizer.ts").then((m) => m.register),
    import("./serve.ts").then((m) => m.register),
    import("./chat.ts").then((m) => m.register),
    import("./train.ts").then((m) => m.register),
    import("./runs.ts").then((m) => m.register),
    import("./chips.ts").then((m) => m.register),
    import("./audit.ts").then((m) => m.register),
    import("./plan.ts").then((m) => m.register),
    import("./compare.ts").then((m) => m.register),
  ]);
  for (const register of verbs) register(program);
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
