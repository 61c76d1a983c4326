import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { printed } from "../../test/support/cli.ts";
import { resolveModel } from "../checkpoint/index.ts";
import { PRESETS } from "../model/index.ts";
import { main } from "./main.ts";
import { loadModel } from "./models.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Output and exit status of a command line. */
async function run(...args: string[]) {
  const { result, out, err } = await printed(() => main(["node", "sumbi", ...args]));
  return { status: result, text: out + err };
}

describe("sumbi", () => {
  afterEach(() => void (process.exitCode = undefined));

  it("says its version", async () => {
    const { version } = JSON.parse(readFileSync(`${root}/package.json`, "utf8")) as { version: string };
    for (const flag of ["--version", "-V"]) {
      const { status, text } = await run(flag);
      expect([status, text]).toEqual([0, `${version}\n`]);
    }
  });

  it("lists every verb in its help, and where a word is none", async () => {
    const help = await run("--help");
    expect(help.status).toBe(0);
    for (const verb of [
      "train",
      "runs",
      "chat",
      "serve",
      "inspect",
      "plan",
      "compare",
      "audit",
      "chips",
      "tokenizer",
      "convert",
    ])
      expect(help.text).toMatch(new RegExp(`^  ${verb} `, "m"));
    const wrong = await run("chps");
    expect(wrong.status).toBe(2);
    expect(wrong.text).toContain("Did you mean chips?");
  });

  it.each(["constructor", "toString", "__proto__"])("takes %s for no verb", async (word) => {
    expect((await run(word)).status).toBe(2);
  });
});

describe("MODEL", () => {
  it.each(["nano", "models/nano"])("%s is the bundled model to every verb", async (name) => {
    expect(loadModel(name).dir).toBe(resolveModel("nano"));
    const inspected = await run("inspect", name, "--json");
    const { tensors } = JSON.parse(inspected.text) as { tensors: { withMtp: number; inFiles: number } };
    expect(tensors.inFiles).toBe(tensors.withMtp);
    const planned = await run("plan", name, "--tokens", "1B", "--gpus", "8", "--json");
    expect(planned.status).toBe(0);
    const compared = await run("compare", name, "--tokens", "1B", "--gpus", "8", "--chips", "h100", "--json");
    expect(compared.status).toBe(0);
    const encoded = await run("tokenizer", "encode", name, "12", "--json");
    expect(encoded.status).toBe(0);
  });

  it("is a published model by its name or short name where only sizes are asked", async () => {
    expect(loadModel("v3").config).toEqual(loadModel("deepseek-v3").config);
    expect((await run("inspect", "V3", "--json")).status).toBe(0);
  });

  it("hides no published model behind a bundled one", () => {
    expect(Object.keys(PRESETS)).not.toContain("nano");
  });

  it.each(["inspect", "plan", "chat"])("%s says what there is where a name is none", async (verb) => {
    const { status, text } = await run(verb, "nono");
    expect(status).toBe(1);
    expect(text).toContain("nono");
    expect(text).toContain("nano");
  });
});
