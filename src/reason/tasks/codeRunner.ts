/** Runs JavaScript that a model wrote against given cases. */
import { isDeepStrictEqual } from "node:util";
import { parseJson } from "../../json.ts";
import type { CodeJob, CodeResult } from "../confined/codeChild.ts";
import { Confined } from "../confined/confined.ts";

/** A call and what it must return: plain JSON. */
export interface Case {
  args: unknown[];
  result: unknown;
}

export interface CaseReport {
  passed: number;
  /** Why the first case that failed did. */
  failure?: string;
}

const MILLIS = 250;
/** What all calls may take beyond that before their process is ended: QuickJS's own limits are not looked at while it allocates. */
const WALL_MILLIS = 1000;
const WASM_MIB = 32;
const PROCESS_MIB = 256;
const SOURCE_CHARS = 20_000;

/** One process with QuickJS, started at the first run. Code sees no files, network, clock or module; each call has 250 ms and 32 MiB, and all together a second more by the wall. */
export class CodeRunner {
  readonly #confined = new Confined({ name: "JavaScript", program: "codeChild", setup: {}, memoryMiB: PROCESS_MIB });

  /** How many of the cases `entry` returns the right result for. Never throws for what the code does. */
  async run(source: string, entry: string, cases: readonly Case[]): Promise<CaseReport> {
    if (source.length > SOURCE_CHARS) return { passed: 0, failure: `longer than ${SOURCE_CHARS} characters` };
    if (!/^[A-Za-z_$][\w$]*$/.test(entry)) return { passed: 0, failure: `${entry} is no name of a function` };
    const calls = cases.map(({ args }) => JSON.stringify(args));
    const job: CodeJob = { source, entry, calls, millis: MILLIS, memoryMiB: WASM_MIB };
    const outcome = await this.#confined.call<CodeResult[]>(job, MILLIS * (cases.length + 1) + WALL_MILLIS);
    if ("fault" in outcome) return { passed: 0, failure: outcome.message };
    let passed = 0;
    let failure: string | undefined;
    outcome.result.forEach((result, i) => {
      const wrong = faultOf(result, cases[i]?.result);
      if (wrong === undefined) passed++;
      else failure ??= `case ${i + 1}: ${wrong}`;
    });
    return { passed, ...(failure === undefined ? {} : { failure }) };
  }

  close(): Promise<void> {
    return this.#confined.close();
  }
}

function faultOf(result: CodeResult, expected: unknown): string | undefined {
  if ("error" in result) return result.error;
  try {
    // plain objects on both sides: what JSON can say
    if (isDeepStrictEqual(parseJson(result.json), JSON.parse(JSON.stringify(expected)))) return undefined;
  } catch {
    return "no JSON";
  }
  return `expected ${JSON.stringify(expected).slice(0, 60)}, got ${result.json.slice(0, 60)}`;
}

/** The code in a reply: the last fenced block, or all of it. */
export function codeIn(answer: string): string {
  const open = /```(?:js|javascript|ts|typescript)?[ \t]*\n/g;
  const starts = [...answer.matchAll(open)];
  // fences open and close in turn: of an even number the last but one opens
  const start = starts.filter((_, i) => i % 2 === 0).at(-1);
  if (start === undefined) return answer.trim();
  return (answer.slice(start.index + start[0].length).split("```")[0] ?? "").trim();
}
