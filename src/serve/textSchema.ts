/** What requests about texts and tokens may say. */
import { z } from "zod";
import { checkLeast, leastTokens, type RequestBounds, UNBOUNDED } from "./bounds.ts";
import { ignoredFields } from "./fields.ts";
import { at, type ChatRequest, list, parse, parseChat } from "./schema.ts";

const MAX_IDS = 2 ** 20;

const flag = z.boolean().nullish();
/** What `/tokenize` takes beside a text or a conversation. */
const shown = { with_pieces: flag, return_token_strs: flag };
export const tokenizeFields = z.object({
  ...shown,
  model: z.string().nullish(),
  content: z.string().nullish(),
  prompt: z.string().nullish(),
  add_special: flag,
  add_special_tokens: flag,
  parse_special: flag,
});
const tokenizeSchema = tokenizeFields
  .refine((r) => (r.content == null) !== (r.prompt == null), { path: ["content"] })
  .refine((r) => r.add_special == null || r.add_special_tokens == null, { path: ["add_special"] });
export const detokenizeFields = z.object({ model: z.string().nullish(), tokens: list(z.int().min(0), MAX_IDS) });

const WORDS = {
  content: "a text, under this name or as prompt; or messages",
  tokens: "a list of token ids",
  add_special: "true or false, under this name or as add_special_tokens",
  add_special_tokens: "true or false",
  parse_special: "true or false",
  with_pieces: "true or false",
  return_token_strs: "true or false",
};

export interface TokenizeRequest extends Pick<z.infer<typeof tokenizeFields>, keyof typeof shown> {
  /** A conversation, or else a text. */
  chat?: ChatRequest;
  text: z.infer<typeof tokenizeFields>;
  ignored: string[];
}
export type DetokenizeRequest = z.infer<typeof detokenizeFields> & { ignored: string[] };

export function parseTokenize(body: unknown, bounds: RequestBounds = UNBOUNDED): TokenizeRequest {
  if (at(body, ["messages"]) !== undefined) {
    const { with_pieces, return_token_strs, ...conversation } = body as Record<string, unknown>;
    const options = parse(z.object(shown), "tokenize", { with_pieces, return_token_strs }, WORDS);
    const chat = parseChat(conversation, bounds);
    return { ...options, chat, text: {}, ignored: chat.ignored };
  }
  const text = parse(tokenizeSchema, "tokenize", body, WORDS);
  const given = text.content == null ? "prompt" : "content";
  checkLeast(leastTokens((text[given] ?? "").length, bounds), bounds, given);
  return { ...text, text, ignored: ignoredFields(body as Record<string, unknown>, KNOWN.tokenize) };
}

export function parseDetokenize(body: unknown): DetokenizeRequest {
  const request = parse(detokenizeFields, "detokenize", body, WORDS);
  return { ...request, ignored: ignoredFields(body as Record<string, unknown>, KNOWN.detokenize) };
}

const KNOWN = {
  tokenize: new Set(Object.keys(tokenizeFields.shape)),
  detokenize: new Set(Object.keys(detokenizeFields.shape)),
};
