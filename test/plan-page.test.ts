import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BAND_RESTS, CHANCE_RESTS } from "../src/plan/band.ts";
import { ask } from "../src/web/plan/answer.ts";
import { fromQuery } from "../src/web/plan/form.ts";
import { CHROMIUM, launchBrowser } from "./support/browser.ts";
import { type PagesServer, servePages } from "./support/scripted.ts";

/*
 * The planner's page as its readers get it: from the real server under its policy, and as a static site from a server
 * that knows nothing but files. What it answers is the planner's own; set SUMBI_SHOTS to a folder to keep pictures.
 */
const config = (path: string) => fileURLToPath(new URL(path, import.meta.url));
/** V3's published layout, so that nothing is searched for. */
const V3 = "/plan?pp=16&ep=64&tp=1&cp=1&zero=1&microBatch=1&schedule=dualpipe&precision=fp8&price=2";
const SMALL = "/plan?model=llama-3.1-8b&tokens=1T&gpus=64&chip=h100";

describe.skipIf(!CHROMIUM)("the planner's page in a browser", () => {
  let browser: Browser;
  let folder: string;
  let server: PagesServer;
  let files: { url: string; close: () => void };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "sumbi-plan-"));
    await mkdir(join(folder, "runs"));
    await Promise.all([
      build({
        configFile: config("../src/web/vite.config.ts"),
        build: { outDir: join(folder, "web") },
        logLevel: "error",
      }),
      build({
        configFile: config("../src/web/plan/site/vite.config.ts"),
        mode: "site",
        build: { outDir: join(folder, "host/some/where") },
        logLevel: "error",
      }),
    ]);
    server = await servePages({
      script: () => ({ text: "" }),
      pagesDir: join(folder, "web"),
      runsDir: join(folder, "runs"),
    });
    files = await serveFiles(join(folder, "host"));
    browser = await launchBrowser();
  });

  afterAll(async () => {
    await browser?.close();
    await server?.close(100);
    files?.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** Opens a page in a fresh profile; fails when it logged an error, broke its policy or asked for anything from elsewhere. */
  async function visit(
    url: string,
    look: (page: Page) => Promise<void>,
    options: BrowserContextOptions = {},
  ): Promise<void> {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(25_000);
    const faults: string[] = [];
    const asked: string[] = [];
    page.on("pageerror", (error) => faults.push(`${error}`));
    page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
    context.on("request", (request) => void asked.push(request.url()));
    try {
      await page.goto(url);
      await look(page);
      expect(faults).toEqual([]);
      expect(
        asked.filter((to) => !to.startsWith(server.url) && !to.startsWith(files.url) && !to.startsWith("blob:")),
      ).toEqual([]);
      // No server has a hand in the answer.
      expect(asked.filter((to) => /\/(api|v1)\//.test(to))).toEqual([]);
    } catch (error) {
      await shot(page, "plan-failed");
      throw error;
    } finally {
      await context.close();
    }
  }

  async function shot(page: Page, name: string): Promise<void> {
    if (process.env.SUMBI_SHOTS)
      await page.screenshot({ path: join(process.env.SUMBI_SHOTS, `${name}.png`), fullPage: true });
  }

  const tile = (page: Page, name: string) =>
    page.locator(".answer-tiles > div", { hasText: name }).locator("dd").first();
  const answered = (page: Page, gpus: string) => page.locator(".headline", { hasText: `on ${gpus} ` }).waitFor();
  /** "2.788 M" -> 2788000 */
  const number = (text: string) =>
    Number(/[\d.,]+/.exec(text)![0].replaceAll(",", "")) *
    ({ K: 1e3, M: 1e6, B: 1e9 }[/[KMB]/.exec(text)?.[0] ?? ""] ?? 1);
  const sideways = (page: Page) =>
    page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  const nameless = (page: Page) =>
    page.evaluate(() =>
      [...document.querySelectorAll<HTMLElement>("button, input, select, textarea, a[href], [tabindex]")]
        .filter(
          (e) => !(e.getAttribute("aria-label") || e.textContent?.trim() || (e as HTMLInputElement).labels?.length),
        )
        .map((e) => e.outerHTML.slice(0, 120)),
    );

  async function download(page: Page, name: string): Promise<{ file: string; bytes: Buffer }> {
    const [file] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name, exact: true }).click(),
    ]);
    return { file: file.suggestedFilename(), bytes: await readFile(await file.path()) };
  }

  it("answers for V3 on 2,048 H800, answer first, and draws what it is made of", () =>
    visit(server.url + V3, async (page) => {
      await answered(page, "2,048");
      const hours = number(await tile(page, "GPU-hours").innerText());
      // The browser's planner is this one; how right it is, is other tests' to say.
      const { result } = ask(fromQuery(new URL(page.url()).search));
      expect(hours / result.gpuHours).toBeCloseTo(1, 3);
      // At two dollars an hour; the tiles have four figures.
      expect(number(await tile(page, "Final run").innerText()) / hours).toBeCloseTo(2, 2);
      await page.getByText(BAND_RESTS).waitFor();
      expect(await page.getByRole("img", { name: /^Memory of the fullest GPU: weights .* of 80 GB$/ }).count()).toBe(1);
      expect(await page.getByRole("img", { name: /^One step: products, attention .*bubble/ }).count()).toBe(1);
      const timeline = page.getByRole("img", { name: /^Pipeline of one step: 16 ranks/ });
      const box = (await timeline.boundingBox())!;
      await timeline.hover({ position: { x: box.width / 2, y: 5 } });
      await page.getByText(/^rank 0, micro-batch \d+/).waitFor();
      // The final run and the whole programme are two lines.
      expect(await page.locator(".money-line h3").allInnerTexts()).toEqual([
        expect.stringMatching(/^final run/i),
        expect.stringMatching(/programme/i),
      ]);
      // All of its phases are searched only when asked for.
      await page.getByRole("button", { name: "Work out every phase" }).click();
      await page.getByText(/^Working on pretraining/).waitFor();
      expect(await page.locator(".source-list").last().innerText()).toContain("DeepSeek-V3");
      expect(await nameless(page)).toEqual([]);
      await shot(page, "plan");
    }));

  it("asks the export rules by day, place and the firm's seat", () =>
    visit(`${server.url + SMALL}&pp=1&tp=1&on=2025-06-01&to=SG`.replace("chip=h100", "chip=h20"), async (page) => {
      await answered(page, "64");
      const law = page.locator("details.law summary").first();
      await expect.poll(() => law.innerText()).toMatch(/^no licence needed/);
      await page.locator("details.group summary", { hasText: "Law" }).click();
      await page.getByLabel("The firm's seat").selectOption("CN");
      await expect
        .poll(() => law.innerText())
        .toMatch(
          /^licence needed\s+H20 to Singapore for a firm seated in China on 2025-06-01: .*a letter to NVIDIA of 2025-04-09/s,
        );
      expect(new URL(page.url()).searchParams.get("seat")).toBe("CN");
    }));

  it("answers anew when a control changes, keeps the question in its address, and goes back", () =>
    visit(server.url + SMALL, async (page) => {
      await answered(page, "64");
      const days = number(await tile(page, "Wall time").innerText());
      await page.getByLabel("GPUs", { exact: true }).fill("128");
      await answered(page, "128");
      expect(number(await tile(page, "Wall time").innerText())).toBeLessThan(days * 0.6);
      await expect.poll(() => new URL(page.url()).searchParams.get("gpus")).toBe("128");
      const hours = await tile(page, "GPU-hours").innerText();
      // Sent to someone else, the address asks the same and gets the same.
      const other = await page.context().newPage();
      await other.goto(page.url());
      await answered(other, "128");
      expect(await tile(other, "GPU-hours").innerText()).toBe(hours);
      expect(await other.getByLabel("Model").inputValue()).toBe("llama-3.1-8b");
      await other.close();
      // Other numbers of the chip appear on the plot and can be picked with the keyboard.
      const point = page.getByRole("button", { name: /^256 / }).first();
      await point.focus();
      await page.keyboard.press("Enter");
      await answered(page, "256");
    }));

  it("explains what cannot be done beside the control, and what would be", () =>
    visit(`${server.url}/plan?model=llama-3.1-8b&tokens=1T&gpus=64&chip=h100&pp=7`, async (page) => {
      const wrong = page.locator(".field.wrong");
      await wrong.first().waitFor();
      expect(await page.getByText("This cannot be done as asked.").count()).toBe(1);
      await shot(page, "plan-impossible");
      await page.getByLabel("PP", { exact: true }).fill("2");
      await answered(page, "64");
      expect(await wrong.count()).toBe(0);
      await page.getByLabel("Tokens").fill("a lot");
      await page.locator('[data-field="tokens"] .fault', { hasText: "such as 14.8T" }).waitFor();
    }));

  it("takes a pasted config.json and a chip of one's own", () =>
    visit(server.url + SMALL, async (page) => {
      await answered(page, "64");
      await page.getByRole("button", { name: "config.json" }).click();
      const box = page.getByLabel("JSON", { exact: true });
      await box.fill("{ not json");
      await page.getByRole("button", { name: "Use it" }).click();
      await page.getByText("This is not JSON").waitFor();
      await box.fill(
        JSON.stringify({
          model_type: "qwen3",
          vocab_size: 1000,
          hidden_size: 512,
          intermediate_size: 2048,
          num_hidden_layers: 8,
          num_attention_heads: 8,
          num_key_value_heads: 8,
          head_dim: 64,
        }),
      );
      await page.getByRole("button", { name: "Use it" }).click();
      await page.locator(".headline", { hasText: "qwen3" }).waitFor();
      await page.getByRole("button", { name: "own chip" }).click();
      await page.getByRole("button", { name: "Use it" }).click();
      await page.locator(".headline", { hasText: "My chip" }).waitFor();
      expect(new URL(page.url()).searchParams.get("config")).toContain('"hidden_size":512');
    }));

  it.runIf(process.env["SUMBI_TEST"] === "full")("hands out CSV, JSON, a picture and a trace", () =>
    visit(server.url + V3, async (page) => {
      await answered(page, "2,048");
      const csv = await download(page, "CSV");
      expect(csv.file).toBe("deepseek-v3-2048-h800.csv");
      const rows = csv.bytes.toString().trim().split("\r\n");
      expect(rows[0]).toMatch(/^what,model,chip,gpus,tokens,gpuHours,days,usd/);
      expect(rows[1]).toMatch(/^answer,deepseek-v3,h800,2048,14800000000000,/);
      const json = JSON.parse((await download(page, "JSON")).bytes.toString()) as {
        question: { model: string };
        answer: { gpuHours: number; layout: { pp: number } };
      };
      expect([json.question.model, json.answer.layout.pp]).toEqual(["deepseek-v3", 16]);
      const png = await download(page, "PNG");
      expect(png.bytes.subarray(1, 4).toString()).toBe("PNG");
      expect(png.bytes.length).toBeGreaterThan(50_000);
      const trace = JSON.parse((await download(page, "Trace")).bytes.toString()) as {
        traceEvents: { ph: string; tid: number }[];
      };
      expect(new Set(trace.traceEvents.filter((e) => e.ph === "X").map((e) => e.tid)).size).toBe(16);
    }),
  );

  it.runIf(process.env["SUMBI_TEST"] === "full")("shows the audits of V3 and R1, and of a claim that one pastes", () =>
    visit(`${server.url}/plan/audit/deepseek-v3`, async (page) => {
      await page.getByRole("heading", { level: 1, name: "DeepSeek-V3" }).waitFor();
      expect(await page.locator(".scale [aria-current]").innerText()).toMatch(/adds up|plausible/);
      expect(await page.locator(".restated, .facts").first().innerText()).toContain("2.788M");
      expect(await page.locator(".checks li").count()).toBeGreaterThan(5);
      expect(await page.getByRole("img", { name: /^GPU-hours/ }).count()).toBe(1);
      // A figure's sources open from the keyboard, with a link.
      await page.getByRole("button", { name: "Sources of the claim" }).focus();
      await page.keyboard.press("Enter");
      await page.locator(".source-box:popover-open a").first().waitFor();
      await page.keyboard.press("Escape");
      expect(await nameless(page)).toEqual([]);
      await page.getByText(CHANCE_RESTS).waitFor();
      await page
        .getByText(/from 2023-03-01 to 2023-10-22 \(ended by a letter to NVIDIA of 2023-10-23\)/)
        .first()
        .waitFor();
      await shot(page, "audit");
      await page.getByRole("link", { name: "DeepSeek-R1" }).click();
      await page.getByRole("heading", { level: 1, name: "DeepSeek-R1" }).waitFor();
      expect(new URL(page.url()).pathname).toBe("/plan/audit/deepseek-r1");
      await page.getByRole("button", { name: "A claim of your own" }).click();
      const text = page.getByLabel("The claim, as JSON");
      await text.fill('{"name": "mine"}');
      await page.getByRole("button", { name: "Audit it" }).click();
      await page.getByText("This claim cannot be audited.").waitFor();
      expect(await page.locator(".notice.explained").innerText()).toContain("phases");
    }),
  );

  it.runIf(process.env["SUMBI_TEST"] === "full")(
    "works from any folder of a server that knows only files, and offers no other page there",
    () =>
      visit(`${files.url}/some/where/${SMALL.replace("/plan", "")}`, async (page) => {
        await answered(page, "64");
        await page.getByLabel("GPUs", { exact: true }).fill("32");
        await answered(page, "32");
        expect(new URL(page.url()).pathname).toBe("/some/where/");
        expect(await page.getByRole("link", { name: "Chat" }).count()).toBe(0);
        await page.getByRole("link", { name: "Audit" }).click();
        await page.getByRole("heading", { level: 1, name: "DeepSeek-V3" }).waitFor();
        await page.reload();
        await page.getByRole("heading", { level: 1, name: "DeepSeek-V3" }).waitFor();
      }),
  );

  it("fits a phone, in the dark", () =>
    visit(
      server.url + SMALL,
      async (page) => {
        await answered(page, "64");
        expect(await sideways(page)).toBe(0);
        await shot(page, "plan-narrow");
        await page.getByRole("link", { name: "Audit" }).click();
        await page.getByRole("heading", { level: 1, name: "DeepSeek-V3" }).waitFor();
        expect(await sideways(page)).toBe(0);
      },
      { viewport: { width: 360, height: 640 }, hasTouch: true, isMobile: true, colorScheme: "dark" },
    ));
});

const TYPES: Record<string, string> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
};

/** A file server of the plainest kind: a folder's index.html, or the file itself. */
async function serveFiles(root: string): Promise<{ url: string; close: () => void }> {
  const server: Server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url!, "http://x").pathname));
    readFile(join(root, path.endsWith("/") ? `${path}index.html` : path)).then(
      (bytes) =>
        response
          .writeHead(200, { "content-type": TYPES[extname(path) || ".html"] ?? "application/octet-stream" })
          .end(bytes),
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => void server.close() };
}
