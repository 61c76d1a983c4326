// Every example runs as a stranger would run it: its own process, in a folder of its own, with "sumbi" as the package's exports give it.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import ts from "typescript";
import { build } from "vite";
import { afterAll, describe, expect, it } from "vitest";
import { listen, pageRoutes } from "../src/serve/index.ts";
import { temporaryFolder } from "./folders.ts";
import { CHROMIUM, launchBrowser } from "./support/browser.ts";

const EXAMPLES = fileURLToPath(new URL("../examples/", import.meta.url));
const temporary = temporaryFolder();
afterAll(() => temporary[Symbol.dispose]());

/** What an example prints. */
const run = async (name: string, args: string[] = [], env: NodeJS.ProcessEnv = {}): Promise<string> =>
  (
    await promisify(execFile)(process.execPath, [join(EXAMPLES, name), ...args], {
      cwd: temporary.dir,
      env: { ...process.env, ...env },
    })
  ).stdout;

/** The first line that a child process prints. */
async function firstLine(child: ChildProcess): Promise<string> {
  let text = "";
  while (!text.includes("\n")) text += String((await once(child.stdout!, "data"))[0]);
  return text.split("\n")[0]!;
}

describe("examples", () => {
  it("are all run here, named in README, and right by their types", () => {
    const names = readdirSync(EXAMPLES).sort();
    expect(names).toEqual(["audit.mjs", "engine.mjs", "plan-page", "serve.mjs", "train.mjs"]);
    const readme = readFileSync(join(EXAMPLES, "../README.md"), "utf8");
    for (const name of names) expect(readme, name).toContain(`examples/${name}`);
    const files = names.map((name) => join(EXAMPLES, name.endsWith(".mjs") ? name : `${name}/main.js`));
    const program = ts.createProgram(files, {
      allowJs: true,
      checkJs: true,
      noEmit: true,
      strict: true,
      skipLibCheck: true,
      module: ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind.NodeNext,
      target: ts.ScriptTarget.ES2023,
      lib: ["lib.es2023.d.ts", "lib.dom.d.ts"],
      types: ["node"],
    });
    const faults = ts.getPreEmitDiagnostics(program).map(({ file, messageText }) => {
      return `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`;
    });
    expect(faults).toEqual([]);
  });

  // the recipe's model has more ids than so little text gives tokens: samples that draw such are whole none the less
  it("train.mjs: a model of a folder of text", async () => {
    mkdirSync(join(temporary.dir, "notes"));
    const lines = Array.from({ length: 300 }, (_, i) => `On day ${i} we went ${i * 3} miles and rested.\n`);
    writeFileSync(join(temporary.dir, "notes/one.txt"), lines.join(""));
    const printed = await run("train.mjs", ["notes", "mine"], { RECIPE: "tiny", TOKENS: "2000" });
    expect(printed).toMatch(/^step 1 of 2, loss \d\.\d{3}$/m);
    expect(printed).toContain(`the model is in ${join(temporary.dir, "mine")}`);
    expect(existsSync(join(temporary.dir, "mine/model.safetensors"))).toBe(true);
  });

  it("engine.mjs: an answer token by token, with its probability", async () => {
    const printed = await run("engine.mjs");
    expect(printed).toMatch(/347 \+ 586 = \d+\.\n/);
    expect(printed).not.toContain("end▁of▁sentence");
    expect(printed).toMatch(/^log-probability of the answer: -\d\.\d{3}$/m);
  });

  it("serve.mjs: answers, with its page and a route of its own, and ends", async () => {
    const server = spawn(process.execPath, [join(EXAMPLES, "serve.mjs")], {
      cwd: temporary.dir,
      env: { ...process.env, PORT: "0" },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [url] = (await firstLine(server)).split(" ");
    expect(await (await fetch(`${url}/hello`)).text()).toBe("This is nano.\n");
    expect(await (await fetch(url!)).text()).toContain("<!doctype html>");
    const body = JSON.stringify({ messages: [{ role: "user", content: "What is 2 + 3?" }], max_tokens: 4 });
    const answer = await fetch(`${url}/v1/chat/completions`, { method: "POST", body });
    expect(await answer.json()).toMatchObject({ object: "chat.completion", usage: { completion_tokens: 4 } });
    server.kill("SIGINT");
    expect((await once(server, "exit"))[0]).toBe(0);
  });

  it("audit.mjs: a claim of one's own, from the file or as it stands, and one that ships", async () => {
    expect(await run("audit.mjs")).toMatch(/^acme-70b: does not add up\. /);
    expect(await run("audit.mjs", ["deepseek-v3"])).toMatch(/^DeepSeek-V3: plausible, aggressive\. /);
    const claim = {
      name: "x",
      who: "X",
      date: "2025-01-01",
      model: "llama-3.1-8b",
      chip: "h100",
      phases: [{ name: "p", gpus: 8, days: 3 }],
    };
    writeFileSync(join(temporary.dir, "claim.json"), JSON.stringify(claim));
    expect(await run("audit.mjs", ["claim.json"])).toMatch(/^x: /);
  });

  it("plan-page: bundled for a browser, and right there", async () => {
    const outDir = join(temporary.dir, "page");
    await build({ configFile: false, root: join(EXAMPLES, "plan-page"), logLevel: "silent", build: { outDir } });
    expect(readdirSync(join(outDir, "assets"))).toHaveLength(1);
    if (!CHROMIUM) return;
    const server = await listen(pageRoutes(outDir) as never, { host: "127.0.0.1", port: 0 });
    const browser = await launchBrowser();
    try {
      const page = await browser.newPage();
      await page.goto(server.url);
      await page.getByRole("button").click();
      await page.locator("output", { hasText: /^\d+\.\d days \(\d+.* to \d+.*\), \$[\d,]+$/ }).waitFor();
      await page.getByLabel("GPUs").fill("8");
      await page.getByLabel("Model").selectOption("deepseek-v3");
      await page.getByRole("button").click();
      await page.locator("output", { hasText: /nearest that may work/ }).waitFor();
    } finally {
      await browser.close();
      await server.close(100);
    }
  });
});
