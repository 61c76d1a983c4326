/** The process that encodes for a server: templates and expressions of somebody else's run here and nowhere else. */
import { InterruptedError, type TokenizerFiles, tokenizerOf, within } from "../data/index.ts";
import { SumbiError } from "../errors.ts";
import type { ChatMessage, ChatTemplateOptions, Tokenizer } from "../tokenizer/index.ts";

/**
 * The process that encodes for a server. A template or an expression of somebody else's runs here and nowhere else: it is ended when it
 * takes too long, and takes this process alone with it when it takes too much memory. It ends itself when its parent is gone.
 */

export interface Setup {
  files: TokenizerFiles;
  millis: number;
  /** More ids than this of one text are not sent back. */
  keepIds: number;
}

export type Job =
  | { messages: readonly ChatMessage[]; options: ChatTemplateOptions }
  | { texts: readonly string[]; special?: boolean };

export interface SentIds {
  ids: Int32Array;
  count: number;
  opensThought?: boolean;
}

/** To the setup and to every job. `ending`: the process ends after it. */
export type Reply = { done: SentIds[] } | { error: string; expected: boolean; ending: boolean };

/** Building a tokenizer from its files, however many tokens they have. */
const SETUP_MILLIS = 60_000;

let tokenizer: Tokenizer | undefined;
let setup: Setup | undefined;

process.on("message", (message: Setup | Job) => {
  if (!("files" in message)) return answer(setup?.millis ?? 0, () => encode(message));
  setup = message;
  answer(SETUP_MILLIS, () => {
    tokenizer = tokenizerOf(message.files);
    return [];
  });
});
process.on("disconnect", () => process.exit());
// what is meant for the parent: it says when to end
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => undefined);

function encode(job: Job): SentIds[] {
  if (tokenizer === undefined || setup === undefined) throw new Error("encoder: a job before the setup");
  const { keepIds } = setup;
  const sent = (ids: readonly number[]): SentIds => ({
    ids: Int32Array.from(ids.length > keepIds ? ids.slice(0, keepIds) : ids),
    count: ids.length,
  });
  if ("texts" in job) {
    const { texts, special } = job;
    const by = tokenizer;
    return texts.map((text) => sent(by.encode(text, { special })));
  }
  const { ids, least, opensThought } = tokenizer.encodeChat(job.messages, job.options);
  return [{ ...sent(ids), ...(least === undefined ? {} : { count: least }), opensThought }];
}

function answer(millis: number, work: () => SentIds[]): void {
  const send = (reply: Reply, then?: () => void): void => void process.send?.(reply, undefined, undefined, then);
  try {
    send({ done: within(millis, "tokenizer", work) });
  } catch (error) {
    // what was interrupted may be half done: a fresh process goes on
    const ending = error instanceof InterruptedError;
    send(
      { error: (error as Error).message, expected: error instanceof SumbiError, ending },
      ending ? () => process.exit() : undefined,
    );
  }
}
