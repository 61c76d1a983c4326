import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "../../test/folders.ts";
import { MODEL } from "../../test/train/fixture.ts";
import { prepareData } from "../data/index.ts";
import { trainTokenizer } from "../tokenizer/index.ts";
import { parseRecipe, phasesOf } from "../train/index.ts";
import { describeRun, type Note } from "./describe.ts";

const folder = temporaryFolder();
const { dir } = folder;
const tokenizerDir = join(dir, "tokenizer");

beforeAll(async () => {
  mkdirSync(tokenizerDir);
  const { tokenizerJson, tokenizerConfig } = await trainTokenizer(["the cat sat on the mat"], { vocabSize: 300 });
  writeFileSync(join(tokenizerDir, "tokenizer.json"), JSON.stringify(tokenizerJson));
  writeFileSync(join(tokenizerDir, "tokenizer_config.json"), JSON.stringify(tokenizerConfig));
});
afterAll(() => folder[Symbol.dispose]());

async function notesOf(
  name: string,
  files: Record<string, string | Buffer>,
  recipeOver: Record<string, unknown> = {},
): Promise<Note[]> {
  const data = join(dir, name);
  mkdirSync(data);
  for (const [file, content] of Object.entries(files)) writeFileSync(join(data, file), content);
  const recipe = parseRecipe({
    name: "t",
    model: { ...MODEL, vocab_size: 512, max_position_embeddings: 32 },
    tokens: 4096,
    sequence: 32,
    batch: { end: 4 },
    data: {},
    learningRate: { warmupSteps: 2, stages: [{ from: 1e-3 }] },
    ...recipeOver,
  });
  const prepared = await prepareData({
    paths: [data],
    tokenizerDir,
    cacheDir: join(dir, "cache"),
    onBroken: "skip",
    holdout: 0.1,
  });
  try {
    return describeRun(prepared, recipe, phasesOf(recipe, recipe.model as Record<string, unknown>));
  } finally {
    prepared.dataset.close();
  }
}
const messages = (notes: Note[], level: Note["level"]): string[] =>
  notes.filter((note) => note.level === level).map((note) => note.message);
const LINES = Array.from({ length: 400 }, (_, i) => `the cat number ${i} sat on the mat`);

describe("what is said before training", () => {
  it("files and documents by kind, tokens, what is held out, what was left out by reason and what was ignored", async () => {
    const notes = await notesOf("mixed", {
      "a.txt": LINES.join("\n"),
      "b.jsonl": [
        ...LINES.map((text) => JSON.stringify({ text })),
        ...Array.from({ length: 150 }, () => "{broken"),
        '{"messages":[{"role":"robot","content":"x"}]}',
        JSON.stringify({ messages: [{ role: "user", content: "hi" }] }),
      ].join("\n"),
      "c.pdf": "no",
      "d.pdf": "no",
      README: "no",
    });
    const said = messages(notes, "info");
    expect(said[0]).toMatch(
      /^read 1 text file, 1 jsonl file \([\d.]+ kB\): 401 texts, 1 conversation; \d+ of them held out/,
    );
    expect(said[1]).toMatch(/^[\d.]+K tokens to train on, .*; [\d.K]+ tokens held out$/);
    expect(said[2]).toBe("ignored by their extension: 2 .pdf, 1 (none)");
    const warned = messages(notes, "warn");
    expect(warned).toHaveLength(1);
    expect(warned[0]).toMatch(
      /^left out 151 lines: 150 not JSON \(first .*b\.jsonl:401: expected JSON: .*\); 1 a message of another shape \(first .*b\.jsonl:551: messages\[0\]\.role: expected user, assistant or system\)$/,
    );
  });

  it("warns of a text that is too small, read too often, with nothing held out, of a warm-up longer than the run, and of positions that are never trained", async () => {
    expect(messages(await notesOf("sentence", { "a.txt": "the cat sat" }), "warn").join("\n")).toMatch(
      /fewer than one sequence of 32[\s\S]*nothing is held out/,
    );
    expect(
      messages(await notesOf("often", { "a.txt": LINES.slice(0, 12).join("\n") }, { tokens: 40_000 }), "warn").join(
        "\n",
      ),
    ).toMatch(/the text is read \d\d+ times; over 20 .* --set tokens=\d+/);
    const warm = messages(
      await notesOf(
        "warm",
        { "a.txt": LINES.join("\n") },
        { learningRate: { warmupSteps: 64, stages: [{ from: 1e-3 }] } },
      ),
      "warn",
    );
    expect(warm).toEqual([
      "the warm-up of 64 steps is not over when the 32 steps are: the learning rate ends at 50 % of its peak. Try --set learningRate.warmupSteps=3",
    ]);
    const length = messages(
      await notesOf("length", { "a.txt": LINES.join("\n") }, { model: { ...MODEL, vocab_size: 512 } }),
      "warn",
    );
    expect(length).toEqual([
      expect.stringMatching(
        /^model\.max_position_embeddings is 128, but no sequence is longer than 32: the model is saved with 32\./,
      ),
    ]);
    expect(messages(await notesOf("fine", { "a.txt": LINES.join("\n") }), "warn")).toEqual([]);
  });
});
