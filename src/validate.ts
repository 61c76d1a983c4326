/** Checks a parsed value against a schema, and says in one line what is wrong with it. */
import type { z } from "zod";

/** Faults told at most; the rest are counted. */
const TOLD = 3;

/** The value as the schema gives it back, or the `fault` made of `where: field: what is wrong`. Never throws anything else. */
export function validate<T>(schema: z.ZodType<T>, value: unknown, where: string, fault: (message: string) => Error): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const { issues } = result.error;
  const told = issues
    .slice(0, TOLD)
    .map(
      ({ path, message }) => `${path.map((key) => String(key).slice(0, 60)).join(".") || "(top)"}: ${wordsOf(message)}`,
    );
  throw fault(`${where}: ${told.join("; ")}${issues.length > TOLD ? `; and ${issues.length - TOLD} more` : ""}`);
}

/** The schema library's words in ours. */
const wordsOf = (message: string): string =>
  message
    .slice(0, 300)
    .replace(/^Invalid input: expected (.*), received (.*)$/, "expected $1, got $2")
    .replace(/^Invalid input: /, "");
