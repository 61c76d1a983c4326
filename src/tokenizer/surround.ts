/** The ids that a tokenizer puts before and after a text that stands for itself. */
import { ConfigError } from "../errors.ts";

/** The ids that a tokenizer puts before and after a text that stands for itself. */
export interface Surrounding {
  before: number[];
  after: number[];
}

/** No tokenizer puts more ids around a text. */
const MAX_IDS = 256;

const fail = (where: string, expected: string): never => {
  throw new ConfigError(`tokenizer.json: post_processor${where}: expected ${expected}`);
};

/**
 * What a `post_processor` of tokenizer.json adds to one text (transformers' `add_special_tokens=True`). `size` bounds the ids.
 * Throws ConfigError for kinds that are not understood.
 */
export function surroundingOf(rule: unknown, size: number): Surrounding {
  if (rule === null || rule === undefined) return { before: [], after: [] };
  const { type, processors, single, special_tokens, cls, sep } = rule as Record<string, unknown>;
  const check = (id: unknown): number =>
    Number.isInteger(id) && (id as number) >= 0 && (id as number) < size
      ? (id as number)
      : fail("", `ids below ${size}`);
  if (type === "ByteLevel") return { before: [], after: [] };
  if (type === "BertProcessing" || type === "RobertaProcessing")
    return {
      before: [check((cls as unknown[] | undefined)?.[1])],
      after: [check((sep as unknown[] | undefined)?.[1])],
    };
  const around: Surrounding = { before: [], after: [] };
  if (type === "Sequence") {
    if (!Array.isArray(processors)) return fail(".processors", "a list");
    if (processors.length > MAX_IDS) fail(".processors", `at most ${MAX_IDS}`);
    for (const part of processors) {
      if ((part as { type?: unknown } | null)?.type === "Sequence") fail(".processors", "no Sequence in a Sequence");
      const outer = surroundingOf(part, size);
      around.before.unshift(...outer.before);
      around.after.push(...outer.after);
    }
    return around;
  }
  if (type !== "TemplateProcessing")
    return fail(
      "",
      `ByteLevel, TemplateProcessing, BertProcessing, RobertaProcessing or a Sequence of them, got ${JSON.stringify(type ?? null)?.slice(0, 60)}`,
    );
  if (!Array.isArray(single)) return fail(".single", "a list");
  let seen = false;
  for (const part of single as ({ SpecialToken?: { id?: unknown }; Sequence?: unknown } | null)[]) {
    if (part?.Sequence !== undefined) {
      if (seen) fail(".single", "the text once");
      seen = true;
      continue;
    }
    const known = special_tokens as Record<string, { ids?: unknown } | undefined> | undefined;
    const name = String(part?.SpecialToken?.id);
    const ids = known !== undefined && Object.hasOwn(known, name) ? known[name]?.ids : undefined;
    if (!Array.isArray(ids))
      return fail(".single", `tokens that special_tokens lists, got ${JSON.stringify(name).slice(0, 60)}`);
    const to = seen ? around.after : around.before;
    for (const id of ids) to.push(check(id));
    if (to.length > MAX_IDS) fail(".single", `at most ${MAX_IDS} ids around a text`);
  }
  if (!seen) fail(".single", "the text once");
  return around;
}
