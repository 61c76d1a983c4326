/** The thread of GrammarService: grammars in, bits of what may come next out. */
import { parentPort } from "node:worker_threads";
import { Grammars, type Matcher, type Vocabulary } from "./xgrammar.ts";

export type Job =
  | { vocabulary: Vocabulary }
  /** A new text of a grammar, which has begun like that and has these tokens already. `bits` is where its answers go. */
  | { open: number; grammar: string; begun: string; ids: readonly number[]; bits: SharedArrayBuffer }
  | { accept: number; id: number }
  | { close: number };

/**
 * Of what was opened or accepted: `bits` hold what may come next, or why nothing can; `refused`: what it began with is not of the grammar. `broken`: the thread
 * is of no more use.
 */
export type Answer = { of: number; error?: string; refused?: true } | { ready: true } | { broken: string };

const port = parentPort;
const matchers = new Map<number, { matcher: Matcher; bits: Int32Array }>();
let grammars: Promise<Grammars> | undefined;
/** One after another, as they came. */
let line: Promise<void> = Promise.resolve();

port?.on("message", (job: Job) => {
  line = line.then(() => work(job)).catch((error: unknown) => say({ broken: messageOf(error) }));
});

const say = (answer: Answer): void => port?.postMessage(answer);
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error)).slice(0, 500);

async function work(job: Job): Promise<void> {
  if ("vocabulary" in job) {
    grammars = Grammars.create(job.vocabulary);
    await grammars;
    return say({ ready: true });
  }
  if ("close" in job) {
    matchers.get(job.close)?.matcher.dispose();
    matchers.delete(job.close);
    return;
  }
  const of = "open" in job ? job.open : job.accept;
  try {
    if ("open" in job) {
      const made = await (await grammars)?.matcher(job.grammar);
      if (made === undefined) throw new Error("a grammar before the vocabulary");
      if (job.begun !== "" && !made.begin(job.begun)) {
        made.dispose();
        return say({ of, refused: true });
      }
      for (const id of job.ids) made.accept(id);
      matchers.set(of, { matcher: made, bits: new Int32Array(job.bits) });
    } else matchers.get(of)?.matcher.accept(job.id);
    const found = matchers.get(of);
    if (found === undefined) return;
    found.bits.set(await found.matcher.allowed());
    say({ of });
  } catch (error) {
    // XGrammar gives up on what it cannot read for good: another one has to take its place
    say({ of, error: messageOf(error) });
    if (!("accept" in job)) throw error;
  }
}
