/** POST /v1/embeddings: a vector for each text, of what the model's head is given of its tokens. */
import { ApiError, invalidValue } from "../errors.ts";
import { checkLeast } from "./bounds.ts";
import type { EmbeddingsRequest } from "./embeddingsSchema.ts";
import type { Plan, Work } from "./exchange.ts";
import { promptsOf } from "./schema.ts";
import { boundsOf, checkId, checkModel, type ServedModel } from "./served.ts";
import { encodeTexts } from "./texts.ts";

/** Most numbers of one answer: writing them as text takes a tenth of a second. */
const MAX_NUMBERS = 2 ** 20;
/** Texts that are worked on at once, for one request. */
const AT_ONCE = 32;

/** What `/v1/embeddings` does with a request. */
export const planEmbeddings: Plan<"embeddings"> = async (request, served, signal): Promise<Work> => {
  checkModel(request.model, served);
  const { vectorSize } = served.engine;
  if (vectorSize === undefined) throw invalidValue("model: this model gives no vectors of texts", "model");
  if (request.dimensions != null && request.dimensions !== vectorSize)
    throw invalidValue(
      `dimensions: expected ${vectorSize}, the size of this model's vectors, or nothing, got ${request.dimensions}: a part of one means nothing`,
      "dimensions",
    );
  const given = promptsOf(request.input);
  if (given.length * vectorSize > MAX_NUMBERS)
    throw new ApiError(
      400,
      `input: ${given.length} vectors of ${vectorSize} numbers are more than ${MAX_NUMBERS} numbers: send fewer texts at once`,
      "invalid_request_error",
      "answer_too_large",
      "input",
    );
  const ids = await idsOf(given, served, signal);
  const whole = (s: AbortSignal): Promise<object> => embed(request, ids, served, s);
  return { stream: false, whole, chunks: () => nothing() };
};

async function* nothing(): AsyncGenerator<object, void> {}

/** Ids of each text, with what the tokenizer puts around it: marks of control in it are text. */
async function idsOf(
  given: readonly (string | number[])[],
  served: ServedModel,
  signal: AbortSignal,
): Promise<readonly (readonly number[])[]> {
  const { before, after } = served.tokenizer.surrounding;
  const texts = given.filter((one) => typeof one === "string");
  const encoded = await encodeTexts(texts, false, "input", served, signal);
  let next = 0;
  return given.map((one) => {
    if (typeof one !== "string") {
      for (const id of one) checkId(id, served, "input");
      return one;
    }
    const { ids, count } = encoded[next++] ?? { ids: [], count: 0 };
    checkLeast(before.length + count + after.length, boundsOf(served), "input");
    return [...before, ...ids, ...after];
  });
}

async function embed(
  { encoding_format, pooling }: EmbeddingsRequest,
  ids: readonly (readonly number[])[],
  { engine, info }: ServedModel,
  signal: AbortSignal,
): Promise<object> {
  const how = pooling ?? "mean";
  const data: object[] = [];
  for (let from = 0; from < ids.length; from += AT_ONCE) {
    const part = ids.slice(from, from + AT_ONCE);
    const vectors = await Promise.all(part.map((tokens) => engine.embed?.(tokens, how, signal)));
    for (const vector of vectors) {
      if (vector === undefined) throw new Error("embeddings: an engine with vectors that gives none");
      const embedding = encoding_format === "base64" ? base64(vector) : Array.from(vector);
      data.push({ object: "embedding", index: data.length, embedding });
    }
  }
  const tokens = ids.reduce((sum, { length }) => sum + length, 0);
  return { object: "list", data, model: info.id, pooling: how, usage: { prompt_tokens: tokens, total_tokens: tokens } };
}

/** Numbers as little-endian f32, as OpenAI's clients read them. */
function base64(vector: Float32Array): string {
  const bytes = new DataView(new ArrayBuffer(4 * vector.length));
  for (const [i, x] of vector.entries()) bytes.setFloat32(4 * i, x, true);
  let text = "";
  for (let i = 0; i < bytes.byteLength; i++) text += String.fromCharCode(bytes.getUint8(i));
  return btoa(text);
}
