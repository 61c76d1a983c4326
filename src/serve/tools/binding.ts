/** What binds an answer to the calls that it may make: as a whole, or from where calls are opened. */
import { invalidValue } from "../../errors.ts";
import type { Guide } from "../../infer/browser.ts";
import type { ChatRequest } from "../schema.ts";
import { type Binding, grammarsOf, type ServedModel } from "../served.ts";
import { STAND_INS } from "../structure/marks.ts";
import { grammarOf } from "../structure/request.ts";
import type { Markup } from "./format.ts";
import { type CallGrammarOptions, callGrammar } from "./grammar.ts";
import { CallGuide } from "./guide.ts";
import type { Offer } from "./offer.ts";
import { CallReader } from "./reader.ts";

export interface CallBinding {
  /** The whole answer is of a structure. */
  whole?: Binding;
  /** An answer is free until it calls; `split` says how its thought begins. */
  calls?: (split: { inThought: boolean } | undefined) => Guide & { close(): void };
}

/** Reads the calls of one answer. */
export const callReader = ({ tools }: Offer, markup: Markup): CallReader =>
  new CallReader(markup, new Set(tools.map(({ name }) => name)));

/** How an answer's calls are bound. Throws ApiError 400 for what cannot be enforced and must be. */
export async function callBinding(
  offer: Offer,
  markup: Markup,
  request: ChatRequest,
  served: ServedModel,
): Promise<CallBinding> {
  for (const other of ["ignore_eos", "min_tokens"] as const)
    if (request[other])
      throw invalidValue(`${other}: expected nothing beside tools: calls say themselves where they end`, other);
  const { tools, choice, parallel } = offer;
  const must = choice !== "auto";
  const strict = tools.some((tool) => tool.strict);
  const asked = grammarOf(request, OTHER);
  const param = must ? "tool_choice" : (asked?.param ?? "tools");
  if (served.grammars === undefined && !must && !strict && asked === undefined) return {};
  const grammars = grammarsOf(served, param);
  const places = tools.flatMap(({ name }, i) => (typeof choice === "string" || choice.name === name ? [i] : []));
  const grammarBy = (enforce: CallGrammarOptions["enforce"]): string =>
    callGrammar(
      places.flatMap((place) => tools[place] ?? []),
      markup,
      {
        parallel: parallel && typeof choice === "string",
        enforce,
        other: asked && !must ? { root: `${OTHER}root`, rules: asked.grammar } : undefined,
      },
      places,
    );
  const grammar = await firstOf<CallGrammarOptions["enforce"], string>(
    must ? ["all"] : ["possible", "strict"],
    async (enforce) => {
      const text = grammarBy(enforce);
      await grammars.check(text, param);
      return text;
    },
  );
  if (must || asked) return { whole: () => grammars.open(grammar, { marks: true }) };
  return {
    calls: (split) =>
      new CallGuide(callReader(offer, markup), served.tokenizer, {
        open: (begun) => grammars.open(grammar, { marks: true, begun: markup.standIns(begun, STAND_INS) }),
        split,
        strict,
      }),
  };
}

/** What the first of them gives that does not fail: many tools at once may take too long to be read. */
async function firstOf<T, R>([first, ...others]: readonly [T, ...T[]], give: (one: T) => Promise<R>): Promise<R> {
  try {
    return await give(first);
  } catch (error) {
    const [next, ...rest] = others;
    if (next === undefined) throw error;
    return firstOf([next, ...rest], give);
  }
}

/** Names of the rules of what an answer may be instead of calls. */
const OTHER = "other-";
