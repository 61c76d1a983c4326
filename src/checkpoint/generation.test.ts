import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { temporaryFolder, writeFiles } from "../../test/folders.ts";
import { tokenizerFiles } from "./files.ts";
import { consistentGeneration } from "./generation.ts";

// written by scripts/fixtures/generation.py, where every "exported" passed transformers' strict validation and was saved
const fixture = fileURLToPath(new URL("../../test/fixtures/generation.json", import.meta.url));
interface Case {
  given: Record<string, unknown>;
  refused: boolean;
  exported: Record<string, unknown>;
}
const { cases } = JSON.parse(readFileSync(fixture, "utf8")) as { cases: Case[] };

test.each(cases.map((each) => [JSON.stringify(each.given), each] as const))(
  "%s is exported so that transformers saves it again",
  async (_, { given, refused, exported }) => {
    using folder = temporaryFolder();
    const dir = join(folder.dir, "m");
    mkdirSync(dir);
    writeFiles(dir, { "generation_config.json": JSON.stringify(given) });
    const files = await tokenizerFiles(dir);
    const written = JSON.parse(new TextDecoder().decode(files["generation_config.json"])) as object;
    expect(written).toEqual(exported);
    expect(consistentGeneration(exported)).toEqual(exported);
    if (refused) expect(exported).not.toEqual(given);
  },
);

test("the bundled model's does not contradict itself", () => {
  const given = JSON.parse(
    readFileSync(new URL("../../models/nano/generation_config.json", import.meta.url), "utf8"),
  ) as Record<string, unknown>;
  expect(consistentGeneration(given)).toEqual(given);
});
