/** transcripts.jsonl as a page can hold it: answers of some steps, evenly spread, each of bounded length. */
import { join } from "node:path";
import { parseJson } from "../json.ts";
import { LineTail } from "./lineTail.ts";
import { type RolloutRecord, rolloutSchema } from "./schema.ts";
import { ThinList } from "./thinLog.ts";

/** Most steps, problems of a step, answers to a problem, and characters of a text: 2 MB of a run at most. */
const MOST = { steps: 32, problems: 4, answers: 4, characters: 4_000 };

/** One step's problems with some of their answers. */
export interface RolloutStep {
  step: number;
  problems: Omit<RolloutRecord, "step">[];
}

/** Reads the file as it grows. A step that comes again (a run was killed and went on) takes the place of what stood from there on. */
export class RolloutLog {
  readonly #tail: LineTail;
  readonly #steps = new ThinList<RolloutStep>(() => MOST.steps);
  #last: RolloutStep | undefined;
  #reading: Promise<unknown> = Promise.resolve();

  constructor(dir: string) {
    this.#tail = new LineTail(join(dir, "transcripts.jsonl"));
  }

  /** What is new is read first; who asks meanwhile waits for it. No file: no steps. */
  async view(): Promise<RolloutStep[]> {
    const reading = this.#reading.catch(() => undefined).then(() => this.#tail.read((line) => this.#take(line)));
    this.#reading = reading;
    await reading;
    return this.#steps.all();
  }

  #take(line: string | undefined): void {
    const parsed = line?.startsWith("{") ? parsedOrNothing(line) : undefined;
    if (parsed === undefined) return;
    const { step, prompt, reference, answers } = parsed;
    const problem = {
      prompt: cut(prompt),
      reference: cut(reference),
      answers: answers.slice(0, MOST.answers).map((answer) => ({ ...answer, text: cut(answer.text) })),
    };
    const held = this.#last?.step === step && !this.#last.problems.some((one) => one.prompt === problem.prompt);
    if (!held || this.#last === undefined) this.#steps.put((this.#last = { step, problems: [problem] }));
    else if (this.#last.problems.length < MOST.problems) this.#last.problems.push(problem);
  }
}

/** A damaged line is passed over. */
function parsedOrNothing(line: string): RolloutRecord | undefined {
  try {
    return rolloutSchema.safeParse(parseJson(line)).data;
  } catch {
    return undefined;
  }
}

/** The beginning and the end of a long text, and how much is left out between. */
function cut(text: string): string {
  if (text.length <= MOST.characters) return text;
  const end = MOST.characters / 4;
  const left = text.length - MOST.characters;
  return `${text.slice(0, MOST.characters - end)}\n[… ${left.toLocaleString("en-US")} characters left out …]\n${text.slice(-end)}`;
}
