/** POST /tokenize, /detokenize, /apply-template: what the model reads, by the names of llama-server and of vLLM. */
import { ApiError, invalidValue, SumbiError } from "../errors.ts";
import { checkLeast } from "./bounds.ts";
import { planChat } from "./chat.ts";
import type { Encoded } from "./encoder.ts";
import type { Plan, Planned } from "./exchange.ts";
import { boundsOf, checkId, checkModel, encoderOf, type ServedModel } from "./served.ts";
import type { TokenizeRequest } from "./textSchema.ts";
import { tokenBytes, tokenText, wholeText } from "./tokens.ts";

/** `{tokens, count, max_model_len, token_strs?}`; with `with_pieces` each token is `{id, piece}`. */
export const tokenize: Plan<"tokenize"> = async (request, served, signal) => {
  const { chat, text } = request;
  checkModel((chat ?? text).model, served);
  const ids = chat ? (await planChat(chat, served, signal)).prompt : await textIds(text, served, signal);
  const { tokenizer } = served;
  const body = {
    tokens: request.with_pieces ? ids.map((id) => ({ id, piece: pieceOf(id, served) })) : ids,
    count: ids.length,
    max_model_len: served.engine.limits.contextTokens,
    ...(request.return_token_strs ? { token_strs: ids.map((id) => tokenText(tokenizer, id)) } : {}),
  };
  return { body };
};

/** A token as llama-server shows it: its text, or its bytes where they are no whole characters. */
const pieceOf = (id: number, { tokenizer }: ServedModel): string | number[] =>
  wholeText(tokenizer, id) ?? Array.from(tokenBytes(tokenizer, id));

/** llama-server puts nothing around `content`, vLLM what the tokenizer asks for around `prompt`, unless they are told otherwise. */
async function textIds(
  request: TokenizeRequest["text"],
  served: ServedModel,
  signal: AbortSignal,
): Promise<readonly number[]> {
  const given = request.content == null ? "prompt" : "content";
  const around = request.add_special ?? request.add_special_tokens ?? given === "prompt";
  const { before, after } = around ? served.tokenizer.surrounding : { before: [], after: [] };
  const texts = [request[given] ?? ""];
  const [{ ids, count } = NONE] = await encodeTexts(texts, request.parse_special ?? true, given, served, signal);
  if (count > ids.length) checkLeast(count, boundsOf(served), given);
  return [...before, ...ids, ...after];
}

const NONE: Encoded = { ids: [], count: 0 };

/** Ids of texts. Throws ApiError 400 of `param` where the tokenizer cannot use them. */
export async function encodeTexts(
  texts: readonly string[],
  special: boolean,
  param: string,
  served: ServedModel,
  signal: AbortSignal,
): Promise<readonly Encoded[]> {
  if (texts.length === 0) return [];
  try {
    return await encoderOf(served).texts(texts, signal, undefined, { special });
  } catch (error) {
    if (!(error instanceof SumbiError) || error instanceof ApiError) throw error;
    throw invalidValue(`${param}: the model's tokenizer cannot use it: ${error.message}`, param);
  }
}

/** `{content, prompt}`: the text of ids, under llama-server's name and vLLM's. */
export const detokenize: Plan<"detokenize"> = async (request, served) => {
  checkModel(request.model, served);
  for (const id of request.tokens) checkId(id, served, "tokens");
  const text = textOf(request.tokens, served);
  return { body: { content: text, prompt: text } };
};

/** `{prompt}`: a conversation as the model reads it. */
export const applyTemplate: Plan<"chat"> = async (request, served, signal): Promise<Planned> => {
  const { prompt } = await planChat(request, served, signal);
  return { body: { prompt: textOf(prompt, served) } };
};

const textOf = (ids: readonly number[], { tokenizer }: ServedModel): string =>
  tokenizer.decode(ids.filter((id) => id < tokenizer.vocabSize));
