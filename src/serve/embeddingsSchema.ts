/** What a request to /v1/embeddings may say. */
import { z } from "zod";
import type { RequestBounds } from "./bounds.ts";
import { ignoredFields } from "./fields.ts";
import { at, checkPrompt, PROMPT_SHAPE, type Prompt, parse } from "./schema.ts";

export const embeddingsFields = z.object({
  model: z.string().nullish(),
  /** Checked by `checkPrompt`. */
  input: z.custom<Prompt>((input) => input != null && input !== "").meta(PROMPT_SHAPE),
  encoding_format: z.enum(["float", "base64"]).nullish(),
  dimensions: z.int().min(1).nullish(),
  pooling: z.enum(["mean", "last"]).nullish(),
});

const WORDS: Readonly<Record<string, string>> = {
  input: "a text, a list of texts, a list of token ids, or a list of lists of token ids, none of them empty",
  encoding_format: '"float" or "base64"',
  dimensions: "the size of this model's vectors, or nothing",
  pooling: '"mean" or "last"',
};

export type EmbeddingsRequest = z.infer<typeof embeddingsFields> & { ignored: string[] };

const KNOWN = new Set(Object.keys(embeddingsFields.shape));

export function parseEmbeddings(body: unknown, bounds?: RequestBounds): EmbeddingsRequest {
  checkPrompt(at(body, ["input"]), bounds, "input");
  const request = parse(embeddingsFields, "embeddings", body, WORDS);
  return { ...request, ignored: ignoredFields(body as Record<string, unknown>, KNOWN) };
}
