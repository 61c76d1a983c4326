/** A line of a .jsonl file of problems. */
import { z } from "zod";
import { DataError } from "../../errors.ts";
import { briefJson, parseJson } from "../../json.ts";
import { validate } from "../../validate.ts";
import { answerPart } from "../answers/index.ts";
import { contentId, type Problem } from "../task.ts";
import { ask } from "./answerTask.ts";
import type { Case } from "./codeRunner.ts";

export interface JsonlData {
  /** How the file works it out; empty when it does not. */
  working: string;
  /** A function to write instead of an answer: its name, and calls with what they return. */
  code?: { entry: string; cases: Case[] };
}

const CODE = z.object({
  entry: z.string().regex(/^[A-Za-z_$][\w$]*$/),
  cases: z
    .array(z.object({ args: z.array(z.unknown()), result: z.unknown() }))
    .min(1)
    .max(100),
});

/** The problem on a line. Throws DataError, beginning with `where`. */
export function problemOf(line: string, where: string, instruction: string): Problem<JsonlData> {
  const row = rowOf(line, where);
  const code = "cases" in row ? validate(CODE, row, where, (message) => new DataError(message)) : undefined;
  const textAt = (...keys: string[]): string | undefined => {
    const value = keys.map((key) => row[key]).find((one) => one !== undefined && one !== null);
    return typeof value === "number"
      ? `${value}`
      : typeof value === "string" && value.trim() !== ""
        ? value
        : undefined;
  };
  const question = textAt("question", "problem");
  const answer = textAt("answer");
  const solution = textAt("solution");
  const level = textAt("level", "subject", "type");
  const facts: Record<string, string> = level === undefined ? {} : { level };
  const kept = (asked: string, said: string) => {
    const group = contentId("jsonl", asked.toLowerCase().replace(/\s+/g, " ").trim());
    return { id: group, group, prompt: ask(said), facts };
  };
  if (question !== undefined && code)
    return { ...kept(question, question), reference: solution ?? "", data: { working: "", code } };
  const given = answer ?? solution;
  if (question === undefined || given === undefined)
    throw new DataError(
      `${where}: expected "question" or "problem" and "answer" or "solution", got ${Object.keys(row).slice(0, 8).join(", ") || "no fields"}`,
    );
  const { answer: found, marked } = answerPart(given);
  if (answer === undefined && !marked)
    throw new DataError(`${where}: expected \\boxed{…} or #### in "solution", got ${briefJson(given, 60)}`);
  // an answer that works it out is a solution, too: GSM8K's
  const working = (solution ?? (marked ? given : "")).replace(/<<[^<>]*>>/g, "").replace(/\n?####[^\n]*\s*$/, "");
  return {
    ...kept(question, question + instruction),
    reference: marked ? found : given.trim(),
    data: { working: working.trim() },
  };
}

function rowOf(line: string, where: string): Record<string, unknown> {
  let row: unknown;
  try {
    row = parseJson(line);
  } catch (error) {
    throw new DataError(`${where}: expected a line of JSON, got ${briefJson(line, 40)}: ${(error as Error).message}`);
  }
  if (typeof row !== "object" || row === null || Array.isArray(row))
    throw new DataError(`${where}: expected an object, got ${briefJson(row, 40)}`);
  return row as Record<string, unknown>;
}
