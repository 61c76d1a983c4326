/** The process in which a user's task runs. */
import { Console } from "node:console";
import { register } from "node:module";
import { pathToFileURL } from "node:url";
import { Random } from "../../data/index.ts";
import { DataError } from "../../errors.ts";
import { finalAnswer, sameAnswer } from "../answers/index.ts";
import { type Draft, drawProblem, type Reply, type Score, type Split } from "../task.ts";
import { partReply } from "../thought.ts";
import { serveConfined } from "./child.ts";

/** What a user's module exports. */
interface OwnModule {
  problem(random: Random): unknown;
  score(problem: unknown, reply: OwnReply, tools: typeof TOOLS): unknown;
  solve?(problem: unknown, random: Random): unknown;
  weights?: unknown;
  about?: unknown;
}

/** A reply as a user's scorer gets it: the whole text, and its two parts. */
export interface OwnReply {
  text: string;
  thought: string;
  answer: string;
  truncated: boolean;
}

export interface OwnAbout {
  weights?: Record<string, number>;
  about?: string;
  solves: boolean;
}

export type OwnJob =
  | { kind: "problem"; seed: number; split: Split; index: number }
  | { kind: "score"; data: unknown; reply: Reply }
  | { kind: "solve"; data: unknown; seed: number };

const TOOLS = { finalAnswer, sameAnswer };

// warnings of a module go where its other lines go
globalThis.console = new Console(process.stdout, process.stdout);

serveConfined(async ({ path, name }: { path: string; name: string }) => {
  // Node from 22.18 on reads TypeScript itself; under tsx it is read already
  if (
    /\.m?ts$/.test(path) &&
    !import.meta.url.endsWith(".ts") &&
    !("typescript" in process.features && process.features.typescript)
  )
    register(new URL("./typeHooks.js", import.meta.url));
  const own = (await import(pathToFileURL(path).href)) as Partial<OwnModule>;
  for (const part of ["problem", "score"] as const)
    if (typeof own[part] !== "function")
      throw new DataError(
        `expected an exported function "${part}", got ${typeof own[part]}; a task is a module that exports problem and score`,
      );
  const { problem, score, solve, weights, about } = own as OwnModule;
  return {
    about: {
      solves: typeof solve === "function",
      ...(isWeights(weights) ? { weights } : {}),
      ...(typeof about === "string" ? { about } : {}),
    } satisfies OwnAbout,
    async work(job: OwnJob): Promise<unknown> {
      if (job.kind === "score") return scoreOf(await score(job.data, ownReply(job.reply), TOOLS));
      if (job.kind === "solve") return await solve?.(job.data, new Random(job.seed));
      return drawProblem(name, (random) => draftOf(problem(random)), job.seed, job.split, job.index);
    },
  };
});

const isWeights = (value: unknown): value is Record<string, number> =>
  typeof value === "object" &&
  value !== null &&
  Object.values(value).every((one) => typeof one === "number" && Number.isFinite(one));

function ownReply(reply: Reply): OwnReply {
  const { thought = "", answer } = partReply(reply);
  return { text: reply.text, thought, answer, truncated: reply.truncated === true };
}

/** What a user's problem() gave, as plain data. Throws DataError when it has no prompt. */
function draftOf(made: unknown): Draft<unknown> {
  const data = JSON.parse(JSON.stringify(made) ?? "null") as { prompt?: unknown; answer?: unknown } | null;
  const prompt = data?.prompt;
  const messages = typeof prompt === "string" ? [{ role: "user", content: prompt }] : prompt;
  if (
    !Array.isArray(messages) ||
    messages.length === 0 ||
    !messages.every((one) => typeof one?.role === "string" && typeof one.content === "string")
  )
    throw new DataError(
      `problem(random): expected { prompt: a text or messages, … }, got ${JSON.stringify(data)?.slice(0, 100)}`,
    );
  const reference =
    data?.answer === undefined ? "" : typeof data.answer === "string" ? data.answer : JSON.stringify(data.answer);
  return { content: data, prompt: messages, reference, data, facts: {} };
}

/** A number, true or false, or parts by name. Throws DataError for anything else, NaN and numbers outside of 0 … 1 too. */
function scoreOf(given: unknown): Score {
  const parts = typeof given === "object" && given !== null ? (given as Record<string, unknown>) : { answer: given };
  const known: Record<string, number> = {};
  for (const [name, value] of Object.entries(parts)) {
    const number = typeof value === "boolean" ? Number(value) : value;
    if (typeof number !== "number" || !(number >= 0 && number <= 1))
      throw new DataError(`score: expected numbers from 0 to 1, got ${name}: ${String(value).slice(0, 60)}`);
    known[name] = number;
  }
  if (Object.keys(known).length === 0) throw new DataError("score: expected a number or parts by name, got nothing");
  return { parts: known };
}
