/** Answers of an evaluation kept as they come, a line each, so that one that was cut short goes on where it was. */
import { createReadStream } from "node:fs";
import { appendFile, stat, truncate, writeFile } from "node:fs/promises";
import { z } from "zod";
import { kindOf } from "../checkpoint/index.ts";
import { CheckpointError } from "../errors.ts";
import { isRecord, parseJson } from "../json.ts";
import type { Transcript, TranscriptStore } from "./evaluate.ts";

/** What an evaluation is, as its file's first line says: whoever goes on must mean the same. */
export type EvaluationHeader = Readonly<Record<string, string | number | readonly string[] | undefined>>;

const answerSchema = z.object({
  text: z.string(),
  right: z.boolean(),
  answer: z.string().optional(),
  tokens: z.number().optional(),
  thinks: z.boolean(),
  cutOff: z.boolean(),
  parts: z.record(z.string(), z.number()),
  facts: z.record(z.string(), z.number()),
});
const lineSchema = z.object({
  model: z.string(),
  task: z.string(),
  id: z.string(),
  prompt: z.string(),
  reference: z.string(),
  greedy: answerSchema,
  samples: z.array(answerSchema),
});

const KIND = "sumbi evaluate";
const keyOf = (...parts: string[]): string => JSON.stringify(parts);

/** One file, of one evaluation: of all its models and tasks. */
export class EvaluationFile {
  private constructor(
    readonly path: string,
    private readonly kept: Map<string, Transcript>,
  ) {}

  /** Problems whose answers were there already. */
  get found(): number {
    return this.kept.size;
  }

  /** A new file, or one of the same evaluation to go on with. Throws CheckpointError, and leaves alone, whatever else stands there. */
  static async open(path: string, header: EvaluationHeader): Promise<EvaluationFile> {
    const first = JSON.stringify({ kind: KIND, ...header });
    const found = await stat(path).catch(() => undefined);
    if (found === undefined || (found.isFile() && found.size === 0)) {
      await writeFile(path, `${first}\n`, { flag: found === undefined ? "wx" : "a" });
      return new EvaluationFile(path, new Map());
    }
    if (!found.isFile()) throw new CheckpointError(`--out ${path}: expected a file, found ${kindOf(found)}`);
    return new EvaluationFile(path, await readKept(path, first));
  }

  /** The answers of one model to one task. */
  of(model: string, task: string): TranscriptStore {
    return {
      get: (id) => this.kept.get(keyOf(model, task, id)),
      put: async (transcripts) => {
        const lines = transcripts.map((one) => `${JSON.stringify({ model, task, ...one })}\n`).join("");
        await appendFile(this.path, lines);
      },
    };
  }
}

/** Reads what is there, and cuts a half-written last line off. */
async function readKept(path: string, first: string): Promise<Map<string, Transcript>> {
  const kept = new Map<string, Transcript>();
  let number = 0;
  const whole = await eachLine(path, (line) => {
    if (++number === 1) return checkHeader(path, line, first);
    const parsed = lineSchema.safeParse(jsonOf(line));
    if (!parsed.success)
      throw new CheckpointError(
        `--out ${path}: line ${number}: expected one problem's answers, found something else; it was left alone. Choose another name`,
      );
    const { model, task, ...transcript } = parsed.data;
    kept.set(keyOf(model, task, transcript.id), transcript);
  });
  if (number === 0) checkHeader(path, "", first);
  if (whole < (await stat(path)).size) await truncate(path, whole);
  return kept;
}

/** Gives every whole line; the bytes that they take. One line may be as long as the answers to one problem, and no longer than memory allows. */
async function eachLine(path: string, onLine: (line: string) => void): Promise<number> {
  let [held, bytes]: [Buffer[], number] = [[], 0];
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      const line = Buffer.concat([...held, chunk.subarray(from, end)]);
      onLine(line.toString());
      bytes += line.length + 1;
      held = [];
      from = end + 1;
    }
    held.push(chunk.subarray(from));
    if (held.length > LINE_CHUNKS_MAX)
      throw new CheckpointError(`--out ${path}: a line is longer than any evaluation writes; it was left alone`);
  }
  return bytes;
}

const NEWLINE = 0x0a;
/** Of 64 KiB: 512 MiB. */
const LINE_CHUNKS_MAX = 8192;

function jsonOf(line: string): unknown {
  try {
    return parseJson(line);
  } catch {
    return undefined;
  }
}

function checkHeader(path: string, line: string, first: string): void {
  if (line === first) return;
  const [there, here] = [jsonOf(line), jsonOf(first)];
  if (!isRecord(there) || !isRecord(here) || there["kind"] !== KIND)
    throw new CheckpointError(
      `--out ${path}: exists and holds something else; it was left alone. Choose another name, or remove it first`,
    );
  const key = [...Object.keys(here), ...Object.keys(there)].find(
    (one) => JSON.stringify(there[one]) !== JSON.stringify(here[one]),
  );
  throw new CheckpointError(
    `--out ${path}: is of another evaluation: ${key} ${JSON.stringify(there[key ?? ""]) ?? "unset"} there, ${JSON.stringify(here[key ?? ""]) ?? "unset"} here; it was left alone. Choose another name`,
  );
}
