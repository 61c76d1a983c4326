import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { temporaryFolder } from "../../test/folders.ts";
import { outputOf } from "../../test/support/cli.ts";
import { etagOf, TestHub } from "../../test/support/hub.ts";
import { filesOfModel, findPulled, here, parseHubName } from "../checkpoint/index.ts";
import { register } from "../cli/pull.ts";
import { CheckpointError, ConfigError } from "../errors.ts";
import { hubOf, pull } from "./index.ts";

const [ONE, TWO] = ["1".repeat(40), "2".repeat(40)];
const WEIGHTS = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 31) % 251);
const FILES = {
  "config.json": "{}",
  "tokenizer.json": "{ }",
  "model.safetensors": WEIGHTS,
  "pytorch_model.bin": "code",
  "README.md": "about",
};
const REPO = { repo: "org/model" };
const NO_PROCESS = 4_999_999;

let hub: TestHub;
let temporary: ReturnType<typeof temporaryFolder>;
let cache: string;
beforeAll(async () => void (hub = await TestHub.open()));
afterAll(() => hub.close());
beforeEach(() => {
  temporary = temporaryFolder();
  cache = join(temporary.dir, "hub");
  hub.repos.clear();
  hub.repos.set("org/model", { commit: ONE, files: FILES });
  hub.asked.splice(0);
  hub.mishaps.splice(0);
});
afterEach(() => {
  vi.unstubAllEnvs();
  temporary[Symbol.dispose]();
});

const at = (...path: string[]) => join(cache, "models--org--model", ...path);
const pulled = (silenceMs?: number) => pull({ url: hub.url, silenceMs, retryMs: 1 }, REPO, { cache });

describe("a model of a hub", () => {
  it("comes with the files that make a model, under the names that other tools look for", async () => {
    const progress: number[] = [];
    const done = await pull({ url: hub.url }, REPO, { cache, onProgress: ({ done }) => progress.push(done) });
    const bytes = WEIGHTS.length + 5;
    expect(done).toEqual({
      ...{ repo: "org/model", commit: ONE, form: "folder", path: at("snapshots", ONE), bytes, downloaded: bytes },
      files: ["config.json", "model.safetensors", "tokenizer.json"],
    });
    expect(readFileSync(at("refs", "main"), "utf8")).toBe(ONE);
    const etag = etagOf("model.safetensors", WEIGHTS);
    expect(readlinkSync(at("snapshots", ONE, "model.safetensors"))).toBe(join("..", "..", "blobs", etag));
    expect(new Uint8Array(readFileSync(at("snapshots", ONE, "model.safetensors")))).toEqual(WEIGHTS);
    expect(readdirSync(at("blobs"))).toHaveLength(3);
    expect(findPulled("org/model", cache)).toBe(done.path);
    expect(progress.at(-1)).toBe(bytes);
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
  });

  it("is not asked for again, but for what another commit has changed; the earlier one stays", async () => {
    await pulled();
    hub.asked.splice(0);
    expect(await pulled()).toMatchObject({ downloaded: 0 });
    expect(hub.asked).toEqual([]);
    hub.repos.set("org/model", { commit: TWO, files: { ...FILES, "config.json": '{"a":1}' } });
    expect(await pulled()).toMatchObject({ commit: TWO, downloaded: 7 });
    expect(hub.asked).toHaveLength(1);
    expect(readFileSync(at("snapshots", ONE, "config.json"), "utf8")).toBe("{}");
    expect(findPulled("org/model", cache)).toBe(at("snapshots", TWO));
  });

  it("goes on where the connection broke or fell silent, after a server's fault too", async () => {
    hub.mishaps.push({ status: 503 }, { cutAfter: 1 });
    expect(await pulled()).toMatchObject({ downloaded: WEIGHTS.length + 5 });
    expect(hub.asked.slice(0, 3)).toEqual(["config.json", "config.json", "config.json bytes=1-1"]);
    hub.repos.set("org/model", { commit: TWO, files: { ...FILES, "model.safetensors": WEIGHTS.map((w) => w + 1) } });
    hub.mishaps.push({ hangAfter: 100_000 });
    hub.asked.splice(0);
    await pulled(1_000);
    expect(hub.asked).toHaveLength(2);
    expect(hub.asked[1]).toMatch(/^model.safetensors bytes=\d+-299999$/);
    hub.repos.set("org/other", { commit: ONE, files: { "other-Q4_0.gguf": "abc" } });
    hub.mishaps.push(...Array.from({ length: 5 }, () => ({ status: 500 })));
    const other = pull({ url: hub.url, retryMs: 1 }, { repo: "org/other" }, { cache });
    await expect(other).rejects.toThrow(/got 0 and 5 times no more \(.*500.*goes on from there/);
  });

  it("takes over what a process that is gone has left, and nothing of one that lives", async () => {
    const files = { ...FILES, "model.safetensors": WEIGHTS.map((w) => w + 2) };
    await pulled();
    const etag = etagOf("model.safetensors", files["model.safetensors"]);
    const left = (pid: number) => at("blobs", `${etag}.sumbi-${here}-${pid}.incomplete`);
    writeFileSync(left(NO_PROCESS), files["model.safetensors"].subarray(0, 200_000));
    writeFileSync(left(process.ppid), "its own");
    hub.repos.set("org/model", { commit: TWO, files });
    hub.asked.splice(0);
    expect(await pulled()).toMatchObject({ downloaded: 100_000 });
    expect(hub.asked).toEqual(["model.safetensors bytes=200000-299999"]);
    expect(readFileSync(left(process.ppid), "utf8")).toBe("its own");
    expect(existsSync(left(NO_PROCESS))).toBe(false);
  });

  it("is refused where its content is not what the hub names, and nothing of it stays", async () => {
    hub.mishaps.push({ damage: true });
    await expect(pulled()).rejects.toThrow(CheckpointError);
    expect(readdirSync(at("blobs"))).toEqual([]);
    expect(findPulled("org/model", cache)).toBeUndefined();
    await pulled();
    writeFileSync(at("blobs", etagOf("config.json", "{}")), "{}{}");
    await expect(pulled()).rejects.toThrow(/expected 2 bytes, got 4; remove it/);
  });

  it("stops when it is told to, and keeps what came", async () => {
    hub.mishaps.push({ hangAfter: 1 });
    const controller = new AbortController();
    const onProgress = ({ done }: { done: number }) => {
      if (done === 1) controller.abort(new Error("stopped"));
    };
    const stopped = pull({ url: hub.url, signal: controller.signal }, REPO, { cache, onProgress });
    await expect(stopped).rejects.toThrow("stopped");
    expect(readdirSync(at("blobs"))).toHaveLength(1);
    await pulled();
    expect(hub.asked).toContain("config.json bytes=1-1");
  });

  it("is looked for with a token where one is needed; what cannot be had is said in plain words", async () => {
    hub.repos.set("org/gated", { commit: ONE, files: FILES, token: "hf_right" });
    const of = (repo: string, token?: string) => pull({ url: hub.url, token }, { repo }, { cache });
    await expect(of("org/gated")).rejects.toThrow(/no such model that everybody may read \(404\).*HF_TOKEN/);
    await expect(of("org/gated", "hf_wrong")).rejects.toThrow(/that the token may read.*terms/);
    expect((await of("org/gated", "hf_right")).downloaded).toBeGreaterThan(0);
    await expect(of("org/none")).rejects.toThrow(ConfigError);
    await expect(pull({ url: "http://127.0.0.1:9" }, REPO, { cache })).rejects.toThrow(/HF_ENDPOINT/);
    hub.repos.set("org/empty", { commit: ONE, files: { "README.md": "", "../../evil.safetensors": "x" } });
    await expect(of("org/empty")).rejects.toThrow(/neither/);
  });
});

it("the environment names hub, token and cache, as for other tools", () => {
  expect(hubOf({ HF_HOME: temporary.dir })).toEqual({ url: "https://huggingface.co" });
  writeFileSync(join(temporary.dir, "token"), "hf_stored\n");
  const env = { HF_HOME: temporary.dir, HF_ENDPOINT: "https://mirror.example/" };
  expect(hubOf(env)).toEqual({ url: "https://mirror.example", token: "hf_stored" });
  expect(hubOf({ ...env, HF_TOKEN: "hf_own" }).token).toBe("hf_own");
  expect(() => hubOf({ HF_HUB_OFFLINE: "1" })).toThrow(/offline|OFFLINE/);
  expect(() => hubOf({ HF_ENDPOINT: "mirror.example" })).toThrow(/HF_ENDPOINT/);
});

it("sumbi pull prints where the model is; its name is a model's from then on", async () => {
  vi.stubEnv("HF_ENDPOINT", hub.url);
  vi.stubEnv("HF_HUB_CACHE", cache);
  hub.repos.set("org/model", { commit: ONE, files: { "m-Q8_0.gguf": "b", "m-Q4_0.gguf": "a", "mmproj-m.gguf": "c" } });
  const done = JSON.parse(await outputOf([register], ["pull", "org/model:q8_0", "--json"]));
  expect(done).toMatchObject({ form: "gguf", files: ["m-Q8_0.gguf"], path: at("snapshots", ONE, "m-Q8_0.gguf") });
  expect(lstatSync(done.path).isSymbolicLink()).toBe(true);
  expect(findPulled("org/model:Q8_0")).toBe(done.path);
  expect(() => findPulled("org/model:q4_0")).toThrow(/pull it: sumbi pull org\/model:q4_0/);
  await expect(outputOf([register], ["pull", "model"])).rejects.toThrow(/ORG\/NAME/);
  await expect(outputOf([register], ["pull", "org/model", "--revision", "../x"])).rejects.toThrow(/--revision/);
});

describe("files of a model", () => {
  const of = (names: string[], quant?: string) => filesOfModel(names, { repo: "o/m", quant });
  it("are a folder's in safetensors, else one in GGUF, by name or the smallest that is good", () => {
    const split = [
      "model-00001-of-00002.safetensors",
      "model-00002-of-00002.safetensors",
      "model.safetensors.index.json",
    ];
    const beside = ["chat_template.jinja", "config.json", "vocab.txt", "x/model.safetensors"];
    expect(of([...split, ...beside])).toEqual({ form: "folder", files: [...beside.slice(0, 2), ...split] });
    const quants = ["m-F16.gguf", "m-q4_k_m.gguf", "m-Q8_0.gguf", "m-IQ4_NL.gguf"];
    expect(of(quants)).toEqual({ form: "gguf", file: "m-q4_k_m.gguf" });
    expect(of([...quants, "config.json"], "iq4_nl")).toEqual({ form: "gguf", file: "m-IQ4_NL.gguf" });
    expect(of(["m.odd.gguf"])).toEqual({ form: "gguf", file: "m.odd.gguf" });
    // F16 is not the end of BF16
    expect(() => of(["m-BF16.gguf"], "F16")).toThrow(/of F16, it has m-BF16.gguf/);
    expect(() => of(["m-Q4_0-00001-of-00002.gguf"])).toThrow(/one piece/);
    expect(() => of(["config.json"], "q4_0")).toThrow(/no GGUF file/);
  });

  it("are of names that are a hub's, and no path", () => {
    expect(parseHubName("Qwen/Qwen2.5-0.5B")).toEqual({ repo: "Qwen/Qwen2.5-0.5B" });
    expect(parseHubName("a/b:Q4_0")).toEqual({ repo: "a/b", quant: "Q4_0" });
    for (const name of [
      "a",
      "a/b/c",
      "../b",
      "a/..",
      "a--b/c",
      "a/b:",
      "a/b:x y",
      "/a/b",
      "a\\b",
      `a/${"b".repeat(97)}`,
    ])
      expect(parseHubName(name), name).toBeUndefined();
  });
});
