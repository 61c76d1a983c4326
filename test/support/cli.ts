// Verbs of the command line in this process: what they print, without colours.
import { Command } from "commander";
import { vi } from "vitest";

/** Runs `work` and keeps what it prints from the screen. */
export async function printed<T>(work: () => Promise<T>): Promise<{ result: T; out: string; err: string }> {
  let out = "";
  let err = "";
  const stdout = vi.spyOn(process.stdout, "write").mockImplementation((text) => ((out += text), true));
  const stderr = vi.spyOn(process.stderr, "write").mockImplementation((text) => ((err += text), true));
  try {
    const result = await work();
    return { result, out: plain(out), err: plain(err) };
  } finally {
    stdout.mockRestore();
    stderr.mockRestore();
  }
}

const plain = (text: string): string => text.replace(/\x1b\[\d+m/g, "");

/** What a command line of these verbs prints; its faults are thrown. */
export async function outputOf(
  verbs: readonly ((program: Command) => void)[],
  args: readonly string[],
): Promise<string> {
  const program = new Command().exitOverride();
  for (const register of verbs) register(program);
  for (const verb of program.commands) verb.exitOverride();
  return (await printed(() => program.parseAsync(["node", "sumbi", ...args]))).out;
}
