import { appendFile, mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import axe from "axe-core";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RunWriter } from "../src/runs/index.ts";
import { CHROMIUM, launchBrowser } from "./support/browser.ts";
import { type PagesServer, policyRecords, type Script, servePages, stepRecords } from "./support/scripted.ts";

/*
 * The pages as their readers get them: built by Vite, sent by the real server, shown by a real Chromium. Set
 * SUMBI_SHOTS to a folder to keep pictures of what the tests saw.
 */
const SUM = "<think>\nones: $7 + 6 = 13$, carry 1\n</think>\n\nThe sum is **933**.\n\n$$\\frac{933}{3} = 311$$\n";
const HOSTILE = [
  "<script>window.hacked = 1</script>",
  '<img src="https://evil.example/a.png" onerror="window.hacked = 2">',
  "![pixel](https://evil.example/b.png)",
  "[click](javascript:window.hacked=3)",
  "<svg onload='window.hacked=4'><use href='https://evil.example/c.svg#x'/></svg>",
  "<iframe srcdoc='<script>parent.hacked=5</script>'></iframe>",
  "<style>body { background: url(https://evil.example/d.png); display: none }</style>",
  "$\\href{javascript:window.hacked=6}{x}$ $\\includegraphics{https://evil.example/e.png}$",
  "```html\n<script>window.hacked = 7</script>\n```",
  "[ok](https://example.com/)",
].join("\n\n");

function script(question: string): Script {
  if (question.includes("hostile")) return { text: HOSTILE };
  if (question.includes("story")) return { text: "word ".repeat(300) };
  if (question.includes("slowly")) return { text: "word ".repeat(400), msPerToken: 5 };
  if (question.includes("colour")) return { text: `You said: ${question}` };
  if (question.includes("python")) return { text: "```python\ndef f():\n  return 'a < b'  # why\n```\n" };
  if (question.includes("nothing")) return { text: "" };
  return { text: SUM, msPerToken: 6 };
}

const FULL = process.env.SUMBI_TEST === "full";

describe.skipIf(!CHROMIUM)("the pages in a browser", () => {
  let browser: Browser;
  let folder: string;
  let server: PagesServer;
  const where = () => ({ script, pagesDir: join(folder, "web"), runsDir: join(folder, "runs") });

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "sumbi-pages-"));
    await mkdir(join(folder, "runs"));
    await build({
      configFile: fileURLToPath(new URL("../src/web/vite.config.ts", import.meta.url)),
      build: { outDir: join(folder, "web") },
      logLevel: "error",
    });
    server = await servePages(where());
    browser = await launchBrowser();
  });

  afterAll(async () => {
    await browser?.close();
    await server?.close(100);
    await rm(folder, { recursive: true, force: true });
  });

  /** Opens a page in a fresh profile; fails when it logged an error, broke its security policy or asked for anything from elsewhere. */
  async function visit(
    path: string,
    look: (page: Page) => Promise<void>,
    options: BrowserContextOptions & { forgive?: RegExp } = {},
  ): Promise<void> {
    const context = await browser.newContext({ viewport: { width: 1200, height: 800 }, ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(25_000);
    const faults: string[] = [];
    page.on("pageerror", (error) => faults.push(`${error}`));
    page.on("console", (message) => {
      if (message.type() === "error" && !options.forgive?.test(message.text())) faults.push(message.text());
    });
    page.on("request", (request) => {
      if (!request.url().startsWith(server.url)) faults.push(`asked for ${request.url()}`);
    });
    try {
      await page.goto(server.url + path);
      await look(page);
      expect(faults).toEqual([]);
    } catch (error) {
      await shot(page, "failed");
      throw error;
    } finally {
      await context.close();
    }
  }

  async function shot(page: Page, name: string): Promise<void> {
    if (process.env.SUMBI_SHOTS) await page.screenshot({ path: join(process.env.SUMBI_SHOTS, `${name}.png`) });
  }

  async function ask(page: Page, question: string): Promise<void> {
    await page.getByLabel("Your question").fill(question);
    await page.keyboard.press("Enter");
  }

  const answers = (page: Page) => page.locator("article.answer");
  const finished = (page: Page, nth: number) => answers(page).nth(nth).locator(".figures[title]").waitFor();

  /** Names of controls that a screen reader could not tell. */
  const nameless = (page: Page) =>
    page.evaluate(() =>
      [...document.querySelectorAll<HTMLElement>("button, input, select, textarea, a[href]")]
        .filter(
          (e) => !(e.getAttribute("aria-label") || e.textContent?.trim() || (e as HTMLInputElement).labels?.length),
        )
        .map((e) => e.outerHTML.slice(0, 120)),
    );

  /** What axe finds wrong: rule, place and why. */
  async function faultsFor(page: Page, state: string): Promise<string[]> {
    await page.evaluate(axe.source);
    const { violations } = await page.evaluate(() => (globalThis as unknown as { axe: typeof axe }).axe.run());
    return violations.flatMap(({ id, nodes }) =>
      nodes.map(({ target, failureSummary }) => `${state}: ${id} at ${target}: ${failureSummary}`),
    );
  }

  const sideways = (page: Page) =>
    page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

  describe("chat", () => {
    it("answers an example with its thought, maths and figures, and keeps the chat over a reload", () =>
      visit("/", async (page) => {
        // The thought lasts some tenths of a second: a busy machine may look only after it, so the page keeps watch itself.
        await page.evaluate(() => {
          const watch = new MutationObserver(
            () => document.body.innerText.includes("Thinking for") && document.body.setAttribute("data-thought", ""),
          );
          watch.observe(document.body, { childList: true, subtree: true, characterData: true });
        });
        await page.getByText("A model of 8.01 MB that thinks before it answers. It runs on this computer").waitFor();
        expect(await page.locator(".facts").innerText()).toMatch(/Cost to train\s+\$0\.049\s+34\.7 Wh/);
        await shot(page, "welcome");
        await page.getByRole("button", { name: "What is 347 + 586?" }).click();
        await finished(page, 0);
        expect(await page.locator("body[data-thought]").count()).toBe(1);
        const answer = answers(page).first();
        expect(await answer.locator(".markdown strong").innerText()).toBe("933");
        await answer.locator(".math-display .katex .mfrac").waitFor();
        expect(await answer.locator(".figures").innerText()).toMatch(/^\d+ tokens · [\d.]+ tokens\/s$/);
        // The thought folded itself away when it ended, and opens again.
        expect(await answer.locator(".thought-body").count()).toBe(0);
        await answer.getByRole("button", { name: /^Thought for .* · \d+ tokens$/ }).click();
        expect(await answer.locator(".thought-body").innerText()).toContain("carry 1");
        await shot(page, "chat");
        expect(await nameless(page)).toEqual([]);

        expect(new URL(page.url()).pathname).toMatch(/^\/c\/\w+$/);
        await page.reload();
        expect(await answers(page).first().locator(".markdown strong").innerText()).toBe("933");
        await page.goBack();
        await page.getByText("nothing you write leaves it").waitFor();
        await page.goForward();
        await answers(page).first().locator(".markdown strong").waitFor();
        await page.goto(`${server.url}/c/nowhere`);
        await page.getByText("There is no such chat in this browser").waitFor();
        await page.getByRole("main").getByRole("button", { name: "New chat" }).click();
        await page.getByText("nothing you write leaves it").waitFor();
      }));

    it("sends with Enter, breaks lines with Shift+Enter, and stops with Esc, on the server too", () =>
      visit("/", async (page) => {
        const abandoned = server.engine.abandoned;
        const box = page.getByLabel("Your question");
        await box.fill("speak");
        await box.press("Shift+Enter");
        await box.pressSequentially("slowly");
        await box.press("Enter");
        await page.locator("article.answer .markdown", { hasText: "word" }).waitFor();
        expect(server.engine.prompts.at(-1)).toContain("user:speak\nslowly");
        await page.getByRole("button", { name: "Stop" }).waitFor();
        await page.keyboard.press("Escape");
        await page.locator(".figures", { hasText: "stopped" }).waitFor();
        expect((await answers(page).first().innerText()).startsWith("word")).toBe(true);
        await expect.poll(() => server.engine.abandoned).toBe(abandoned + 1);
        await page.getByRole("button", { name: "Send" }).waitFor();
      }));

    it("keeps every answer and every question it was asked in, each with what followed", () =>
      visit("/", async (page) => {
        await ask(page, "my colour is red");
        await finished(page, 0);
        await ask(page, "which colour?");
        await finished(page, 1);
        expect(server.engine.prompts.at(-1)).toMatch(
          /user:my colour is red.*assistant:You said: my colour is red.*user:which colour\?/s,
        );
        await answers(page).nth(1).getByRole("button", { name: "Answer again" }).click();
        await page.getByText("2/2").waitFor();
        await page.getByRole("button", { name: "The answer before" }).click();
        await page.getByText("1/2").waitFor();

        await page.locator(".question").first().hover();
        await page.getByRole("button", { name: "Change the question" }).first().click();
        const box = page.getByRole("textbox", { name: "Change the question" });
        await box.fill("my colour is blue");
        // Safari's Enter that ends a word of an input method
        await box.evaluate((area) =>
          area.dispatchEvent(
            new KeyboardEvent("keydown", { key: "Enter", keyCode: 229, bubbles: true, cancelable: true }),
          ),
        );
        await page.getByRole("button", { name: "Ask again" }).click();
        await answers(page).getByText("You said: my colour is blue").waitFor();
        await finished(page, 0);
        expect(await answers(page).count()).toBe(1);
        expect(server.engine.prompts.at(-1)).not.toContain("red");
        await page.getByRole("button", { name: "The question as it was before" }).click();
        await answers(page).getByText("You said: my colour is red").waitFor();
        // the answer that was on show below it still is
        expect(await answers(page).nth(1).getByText("1/2").count()).toBe(1);
        await page.reload();
        await page.getByRole("button", { name: "The next question in its place" }).click();
        await answers(page).getByText("You said: my colour is blue").waitFor();

        await answers(page).first().getByRole("button", { name: "Change the answer" }).click();
        await page.getByRole("textbox", { name: "Change the answer" }).fill("You said: my ");
        await page.getByRole("button", { name: "Keep and continue" }).click();
        await answers(page).getByText("You said: my colour is blue").waitFor();
        await finished(page, 0);
        expect(server.engine.prompts.at(-1)).toBe("\u0001user:my colour is blue\u0002\u0001assistant:You said: my ");
        expect(await answers(page).first().locator(".figures").innerText()).toMatch(/^edited · 15 tokens/);
        await shot(page, "chat-branches");
      }));

    it("keeps chats of its first form, finds and renames them, and takes them back after they were deleted", async () => {
      const kept = (id: string, title: string, text: string, updatedAt: number) => ({
        id,
        title,
        createdAt: updatedAt,
        updatedAt,
        turns: [
          {
            id: `${id}-t`,
            question: title,
            shown: 0,
            answers: [{ raw: text, reasoning: "", model: "m", startedAt: 1, pieces: 1, status: "done" }],
          },
        ],
      });
      const chats = [
        kept("two", "second colour", "green as the sea", 2_000),
        kept("one", "first colour", "red", 1_000),
      ];
      const origins = [
        {
          origin: server.url,
          localStorage: [
            { name: "sumbi.chats", value: JSON.stringify(["broken", ...chats.map(({ id }) => id)]) },
            { name: "sumbi.chat.broken", value: '{"turns":"none"}' },
            ...chats.map((chat) => ({ name: `sumbi.chat.${chat.id}`, value: JSON.stringify(chat) })),
          ],
        },
      ];
      await visit(
        "/c/two",
        async (page) => {
          const side = page.getByLabel("Chats", { exact: true });
          const titles = () => side.locator(".pick").allInnerTexts();
          await answers(page).getByText("green as the sea").waitFor();
          expect(await titles()).toEqual(["second colour", "first colour"]);
          await side.getByLabel("Find in chats").fill("SEA");
          expect(await titles()).toEqual(["second colour\ngreen as the sea"]);
          await side.getByLabel("Find in chats").fill("");
          await side.locator("li").nth(1).hover();
          await side.getByRole("button", { name: "Rename “first colour”" }).click();
          await side.getByLabel("New name of the chat").fill("renamed");
          await page.keyboard.press("Enter");
          await side.getByText("renamed").click();
          await answers(page).getByText("red").waitFor();
          expect(new URL(page.url()).pathname).toBe("/c/one");
          await page.goBack();
          await answers(page).getByText("green as the sea").waitFor();

          await side.locator("li").first().hover();
          await side.getByRole("button", { name: "Delete “second colour”" }).click();
          await page.getByText("nothing you write leaves it").waitFor();
          expect(await titles()).toEqual(["renamed"]);
          await side.getByRole("button", { name: "Undo" }).click();
          await answers(page).getByText("green as the sea").waitFor();
          expect(await titles()).toEqual(["second colour", "renamed"]);
          // what could not be read is kept as it was
          const list = await page.evaluate(() => localStorage.getItem("sumbi.chats"));
          expect(JSON.parse(list!)).toEqual(["two", "one", "broken"]);

          await side.locator("li").first().hover();
          await side.getByRole("button", { name: "Save or share “second colour”" }).click();
          expect(await nameless(page)).toEqual([]);
          await shot(page, "chat-file");
          const file = async (name: string) => {
            const [download] = await Promise.all([
              page.waitForEvent("download"),
              page.getByRole("button", { name, exact: true }).click(),
            ]);
            return { name: download.suggestedFilename(), text: await readFile(await download.path(), "utf8") };
          };
          const markdown = await file("Markdown");
          expect(markdown.name).toBe("second-colour.md");
          expect(markdown.text).toContain("## Answer\n\ngreen as the sea");
          const json = await file("JSON");
          await page.keyboard.press("Escape");
          const open = (files: { name: string; text: string }[]) =>
            side
              .locator("input[type=file]")
              .setInputFiles(
                files.map(({ name, text }) => ({ name, mimeType: "text/plain", buffer: Buffer.from(text) })),
              );
          await open([json]);
          await side.getByText("These chats are here already.").waitFor();
          await side.locator("li").first().hover();
          await side.getByRole("button", { name: "Delete “second colour”" }).click();
          await open([json, { name: "photo.png", text: "\u0000" }]);
          await side.getByText("1 chat opened. photo.png: The file is no text.").waitFor();
          await answers(page).getByText("green as the sea").waitFor();
          expect(new URL(page.url()).pathname).toBe("/c/two");
        },
        { storageState: { cookies: [], origins } },
      );
    });

    it("never runs or loads what the model writes", () =>
      visit(
        "/",
        async (page) => {
          await ask(page, "something hostile");
          await finished(page, 0);
          await page.locator(".math-inline .katex").first().waitFor();
          await page.waitForTimeout(200);
          expect(await page.evaluate(() => (window as unknown as { hacked?: number }).hacked)).toBeUndefined();
          expect(
            await page
              .locator(".answer")
              .locator("script, img, iframe, style, [onerror], [onload], a[href^=javascript]")
              .count(),
          ).toBe(0);
          expect(await page.locator(".answer").innerText()).toContain("<script>window.hacked = 1</script>");
          const link = page.getByRole("link", { name: "ok" });
          expect([
            await link.getAttribute("href"),
            await link.getAttribute("rel"),
            await link.getAttribute("target"),
          ]).toEqual(["https://example.com/", "noopener noreferrer nofollow", "_blank"]);
          // Should anything slip through all the same, the page's policy stops it: plain strings are refused as HTML.
          const refused = await page.evaluate(() => {
            try {
              document.createElement("div").innerHTML = "<img src=x onerror='window.hacked=8'>";
              return false;
            } catch {
              return true;
            }
          });
          expect(refused).toBe(true);
        },
        { forgive: /TrustedHTML|Trusted Type/i },
      ));

    it("sends the settings, each chat's own, and explains and continues an answer that was cut off", () =>
      visit("/", async (page) => {
        await page.getByRole("button", { name: "Settings" }).click();
        const auto = page.locator("dialog input[type=checkbox]");
        for (const i of [0, 1, 2, 3]) await auto.nth(i).uncheck();
        for (const [name, value] of [
          ["Temperature", "0"],
          ["Top-p", "0.5"],
          ["Most tokens in an answer", "6"],
          ["Seed", "42"],
        ]) {
          await page.getByLabel(`${name}, as a number`).fill(value!);
          await page.getByLabel(`${name}, as a number`).press("Tab");
        }
        await page.getByLabel("System prompt").fill("Be brief.");
        expect(await nameless(page)).toEqual([]);
        await page.getByRole("button", { name: "Done" }).click();
        await page.getByLabel("Whether to think").selectOption("Does not think");
        expect(await page.getByLabel("The most tokens of a thought").count()).toBe(0);
        await ask(page, "any colour");
        await page.getByText("Cut off at the largest number of tokens").waitFor();
        const request = server.engine.requests.at(-1)!;
        expect(request).toMatchObject({ maxTokens: 6, sampling: { temperature: 0, topP: 0.5, seed: 42 } });
        expect(server.engine.prompts.at(-1)).toContain("system:Be brief.");
        expect(server.engine.thinking.at(-1)).toBe(false);
        expect(await answers(page).first().locator(".markdown").innerText()).toBe("You sa");
        // continued where it ended, as often as it is cut off
        await answers(page).first().locator(".remark").getByRole("button", { name: "Continue" }).click();
        await answers(page).getByText("You said: an", { exact: true }).waitFor();
        await finished(page, 0);
        expect(server.engine.prompts.at(-1)).toMatch(/user:any colour\u0002\u0001assistant:You sa$/);
        expect(await answers(page).first().locator(".figures").innerText()).toMatch(/^12 tokens/);

        // another chat begins as the first was set before it, and goes its own way
        await page.getByLabel("Whether to think").selectOption("Thinks");
        await page.getByRole("button", { name: "New chat" }).click();
        await page.getByText("nothing you write leaves it").waitFor();
        expect(await page.getByLabel("Whether to think").inputValue()).toBe("off");
        await page.goBack();
        await expect.poll(() => page.getByLabel("Whether to think").inputValue()).toBe("on");
        await page.getByLabel("The most tokens of a thought").selectOption("up to 64 tokens");
        await page.reload();
        expect(await page.getByLabel("The most tokens of a thought").inputValue()).toBe("64");
      }));

    it("takes text files along, says how full the context is, and colours code", () =>
      visit("/", async (page) => {
        const choose = (...files: { name: string; text: string | Buffer }[]) =>
          page
            .locator(".composer input[type=file]")
            .setInputFiles(files.map(({ name, text }) => ({ name, mimeType: "", buffer: Buffer.from(text) })));
        await choose(
          { name: "notes.py", text: "def f():\n  return 1\n" },
          { name: "large.txt", text: "x".repeat(300_000) },
          { name: "photo.jpg", text: Buffer.from([0xff, 0xd8, 0xff]) },
        );
        await page
          .getByText("large.txt: The file is too large: at most 256 kB. photo.jpg: The file is no text.")
          .waitFor();
        await page.getByLabel("Your question").fill("which colour has this code?");
        // by the server's count: one token a byte, and what stands around
        const sent = "notes.py:\n```\ndef f():\n  return 1\n```\n\nwhich colour has this code?";
        const tokens = `\u0001user:${sent}\u0002`.length;
        await page
          .getByLabel(`The context holds ${tokens} of 4,096 tokens with this question`, { exact: true })
          .waitFor();
        expect(await nameless(page)).toEqual([]);
        await shot(page, "chat-attached");
        await page.keyboard.press("Enter");
        await finished(page, 0);
        expect(server.engine.prompts.at(-1)).toBe(`\u0001user:${sent}\u0002`);
        await page.locator(".question summary", { hasText: "notes.py · 20 B" }).click();
        expect(await page.locator(".question .file pre").innerText()).toContain("def f():");
        expect(await page.locator(".composer .files").count()).toBe(0);

        await ask(page, "show me python");
        await page.locator(".code .hljs-keyword", { hasText: "return" }).waitFor();
        expect(await page.locator(".code pre").last().innerText()).toBe("def f():\n  return 'a < b'  # why\n");
        await shot(page, "chat-code");
      }));

    it("says what to do when the context is full, and when nothing was said", () =>
      visit(
        "/",
        async (page) => {
          await ask(page, "long colour ".repeat(400));
          const failure = page.locator(".failure[data-kind=context]");
          await failure.getByText("This question does not fit in the model's context").waitFor();
          expect(await failure.innerText()).toContain("4096 tokens");
          expect(await failure.getByRole("button", { name: "New chat" }).count()).toBe(0);
          await page.getByRole("button", { name: "New chat" }).click();
          await ask(page, "say nothing");
          await page.getByText("ended its answer without a word").waitFor();
        },
        { forgive: /400/ },
      ));

    it("leaves the oldest turns out of a long chat and says so, never without room for an answer", () =>
      visit("/", async (page) => {
        await ask(page, "a first story");
        await finished(page, 0);
        await ask(page, "a second story");
        await finished(page, 1);
        expect(server.engine.prompts.at(-1)).toContain("a first story");
        expect(await page.getByText("left out").count()).toBe(0);
        await ask(page, "which colour?");
        await finished(page, 2);
        await answers(page)
          .nth(2)
          .getByText("The model's context is full: the 2 oldest messages were left out of what it read.")
          .waitFor();
        expect(server.engine.prompts.at(-1)).not.toContain("a first story");
        expect(server.engine.prompts.at(-1)).toContain("a second story");
        expect(server.engine.requests.at(-1)!.maxTokens).toBeGreaterThanOrEqual(1024);
        expect(await nameless(page)).toEqual([]);
        await shot(page, "chat-full");
      }));

    it("tells an answer that the context cut off from one that the settings did", () =>
      visit(
        "/",
        async (page) => {
          await ask(page, `colour ${"x".repeat(2_500)}`);
          await answers(page).first().getByText("Cut off: the model's context is full.").waitFor();
          await answers(page).first().getByRole("button", { name: "New chat" }).click();
          await page.getByText("nothing you write leaves it").waitFor();
        },
        // a full chat cannot be counted: the server says that it does not fit
        { forgive: /400/ },
      ));

    it("keeps turns without an answer out of what the model reads, and says so", () =>
      visit("/", async (page) => {
        await ask(page, "say nothing");
        await page.getByText("ended its answer without a word").waitFor();
        await ask(page, "any colour");
        await finished(page, 1);
        expect(server.engine.prompts.at(-1)).toBe("\u0001user:any colour\u0002");
        await answers(page).first().getByText("There is no answer, so this turn is left out").waitFor();
      }));

    it("tells that the server is gone, and goes on when it is back", () =>
      visit(
        "/",
        async (page) => {
          await ask(page, "first colour");
          await finished(page, 0);
          const { port } = server;
          await server.close(0);
          try {
            await ask(page, "second colour");
            await page.locator(".failure[data-kind=unreachable]").waitFor();
            await page.locator(".model-name.down").waitFor();
            await shot(page, "chat-gone");
          } finally {
            server = await servePages({ ...where(), port });
          }
          await page.locator(".failure").getByRole("button", { name: "Try again" }).click();
          await answers(page).nth(1).getByText("You said: second colour").waitFor();
          await page.locator(".model-name.up").waitFor();
        },
        { forgive: /ERR_CONNECTION|ERR_INCOMPLETE|ERR_EMPTY/ },
      ));

    it("sends its reader to the runs where a server has no model", async () => {
      const served = server;
      server = await servePages({ ...where(), withModel: false });
      try {
        await visit(
          "/",
          async (page) => {
            await page.getByText("No model to talk to here").waitFor();
            await page.getByRole("link", { name: "runs", exact: true }).click();
            await page.getByRole("heading", { name: "Runs", exact: true }).waitFor();
            await page.getByText("Nothing has been trained here yet").waitFor();
            expect(await page.getByRole("button", { name: /^Compare/ }).count()).toBe(0);
          },
          { forgive: /404/ },
        );
      } finally {
        await server.close(0);
        server = served;
      }
    });

    it("asks for the server's key, keeps it as long as the tab, and sends it with everything", async () => {
      const served = server;
      server = await servePages({ ...where(), keys: ["right-key"] });
      const locked = await RunWriter.create(join(folder, "runs"), { recipeName: "locked", recipe: {} });
      await locked.close();
      try {
        await visit(
          "/",
          async (page) => {
            const dialog = page.getByRole("dialog", { name: "This server asks for a key" });
            const enter = async (key: string) => {
              await dialog.getByLabel("API key").fill(key);
              await page.keyboard.press("Enter");
            };
            await dialog.waitFor();
            expect(await nameless(page)).toEqual([]);
            await enter("wrong key");
            await dialog.getByText("no spaces").waitFor();
            await enter("wrong-key");
            await dialog.getByText("did not take this key").waitFor();
            await page.keyboard.press("Escape");
            await dialog.waitFor({ state: "hidden" });
            await page.getByRole("button", { name: "Enter it" }).click();
            await enter("right-key");
            await dialog.waitFor({ state: "hidden" });
            await ask(page, "my colour is red");
            await finished(page, 0);
            expect(await answers(page).first().innerText()).toContain("You said: my colour is red");
            await page.reload();
            await ask(page, "a colour");
            await answers(page).getByText("You said: a colour").waitFor();
            await page.getByRole("link", { name: "Runs", exact: true }).click();
            await page
              .getByRole("link", { name: /locked/ })
              .first()
              .click();
            await page
              .getByRole("heading", { name: /locked/ })
              .first()
              .waitFor();
            expect(await dialog.count()).toBe(0);
            // another tab has not been told the key
            const other = await page.context().newPage();
            await other.goto(`${server.url}/runs`);
            await other.getByRole("dialog", { name: "This server asks for a key" }).waitFor();
          },
          { forgive: /401/ },
        );
      } finally {
        await server.close(0);
        await rm(locked.dir, { recursive: true }); // the runs below are the only ones of their tests
        server = served;
      }
    });

    it("is light or dark by the system or by choice, and remembers", () =>
      visit(
        "/",
        async (page) => {
          const shade = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
          expect(await shade()).toBe("rgb(16, 22, 26)");
          await page.getByRole("button", { name: /^Colours/ }).click();
          expect(await shade()).toBe("rgb(251, 251, 249)");
          await page.reload();
          expect(await shade()).toBe("rgb(251, 251, 249)");
        },
        { colorScheme: "dark" },
      ));

    it("speaks Korean where the browser does", () =>
      visit(
        "/",
        async (page) => {
          await page.getByRole("heading", { name: "scripted에게 물어보세요" }).waitFor();
          expect(await page.evaluate(() => document.documentElement.lang)).toBe("ko");
          await page.getByLabel("질문", { exact: true }).fill("a colour");
          await page.keyboard.press("Enter");
          await page.locator(".figures[title]").waitFor();
          expect(await page.locator(".figures").innerText()).toMatch(/^19토큰 · 초당 [\d.]+토큰$/);
          await page.getByRole("button", { name: "설정" }).click();
          // not a word of English is left, but for names
          const said = await page.locator(".side, .composer, dialog").allInnerTexts();
          const names = /Top-p|Enter|Shift|Esc|a colour/g;
          expect(
            said
              .join(" ")
              .replace(names, "")
              .match(/[A-Za-z]{2,}/g) ?? [],
          ).toEqual([]);
          await shot(page, "korean");
        },
        { locale: "ko-KR" },
      ));

    it("fits a phone, with its chats in a drawer", () =>
      visit(
        "/",
        async (page) => {
          await ask(page, "a colour");
          await finished(page, 0);
          expect(await sideways(page)).toBe(0);
          // one line, every part of it inside the screen
          const bar = page.locator("header.top");
          const outside = () =>
            bar
              .locator("a:visible, button:visible")
              .evaluateAll((parts) =>
                parts
                  .filter((part) => part.getBoundingClientRect().right > innerWidth || part.clientHeight > 40)
                  .map((part) => part.textContent),
              );
          expect(await outside()).toEqual([]);
          expect(await bar.locator(".model-id").evaluate((name) => name.scrollWidth <= name.clientWidth)).toBe(true);
          await page.getByRole("button", { name: "Chats", exact: true }).click();
          await page.getByRole("button", { name: "New chat" }).click();
          await page.getByText("nothing you write leaves it").waitFor();
          expect(await sideways(page)).toBe(0);
        },
        { viewport: { width: 360, height: 640 }, hasTouch: true, isMobile: true },
      ));
  });

  describe("runs", () => {
    const recipe = (lr: number) => ({ model: { first_k_dense_replace: 1 }, optimizer: { name: "muon", lr }, seed: 1 });
    const about = {
      machine: { cpu: "test", threads: 2, gemmFlopsPerSec: 3e11 },
      parameters: { total: 9_000_000, active: 3_000_000 },
    };
    let live: RunWriter;

    beforeAll(async () => {
      const done = await RunWriter.create(join(folder, "runs"), {
        id: "done",
        recipeName: "nano",
        recipe: recipe(0.01),
        ...about,
        startedAt: "2026-11-20T10:00:00Z",
      });
      for (let step = 1; step <= 100; step++) for (const record of stepRecords(step, 100)) done.write(record);
      done.write({ type: "end", step: 100, reason: "done" });
      await done.close();
      live = await RunWriter.create(join(folder, "runs"), {
        id: "live",
        recipeName: "nano-hot",
        recipe: recipe(0.02),
        expertLayers: [1, 3],
        ...about,
        startedAt: "2026-11-21T10:00:00Z",
      });
      for (let step = 1; step <= 40; step++) for (const record of stepRecords(step, 100)) live.write(record);
      // The second of them, layer 3: expert 3 is the busiest.
      live.write({ type: "load", step: 40, load: [Array(8).fill(1), [0, 1, 1, 3, 1, 1, 1, 1]], busiest: 3 });
    });
    afterAll(() => live.close());

    it("lists them with their status and the shape of their loss, and picks some to compare", () =>
      visit("/runs", async (page) => {
        const rows = page.locator(".run-table tbody tr");
        await rows.nth(1).locator("svg.spark").waitFor();
        expect(await rows.locator(".run-name").allInnerTexts()).toEqual(["nano-hot", "nano"]);
        expect(await rows.locator(".pill").allInnerTexts()).toEqual(["running", "done"]);
        expect(await rows.nth(1).innerText()).toContain("100 / 100");
        await rows.nth(0).getByRole("checkbox").check();
        await rows.nth(1).getByRole("checkbox").check();
        await page.getByRole("button", { name: "Compare 2" }).click();
        await page.getByText("2 runs compared").waitFor();
        expect(new URL(page.url()).search).toBe("?compare=live,done");
        await page.locator(".chart canvas").first().waitFor();
        await expect
          .poll(() => page.locator(".recipe tbody tr").allInnerTexts())
          .toEqual([expect.stringMatching(/^optimizer\.lr\s+0\.02\s+0\.01$/)]);
        expect(await nameless(page)).toEqual([]);
        await page.goBack();
        await rows.nth(1).locator(".run-name").click();
        await page.getByText("step 100 of 100").waitFor();
        await shot(page, "runs-done");
      }));

    it("follows a run that is being trained, also over the loss of its server", () =>
      visit(
        "/runs/live",
        async (page) => {
          await page.getByText("step 40 of 100").waitFor();
          await page.getByText("live", { exact: true }).waitFor();
          const tile = (name: string) =>
            page
              .locator(".tiles > div", { has: page.getByText(name, { exact: true }) })
              .locator("dd")
              .first()
              .innerText();
          expect(await tile("Left")).toBe("47 s");
          expect(await tile("Energy so far")).toBe("1240 J");
          expect(await tile("Share of GEMM peak")).toMatch(/^5\d %$/);
          for (const record of stepRecords(41, 100)) live.write(record);
          await page.getByText("step 41 of 100").waitFor();
          live.write({ type: "event", step: 41, level: "warn", message: "a spike" });
          await page.getByText("a spike").waitFor();

          const { port } = server;
          await server.close(0);
          await page.getByText("cannot be reached").waitFor();
          for (const record of stepRecords(42, 100)) live.write(record);
          server = await servePages({ ...where(), port });
          await page.getByText("step 42 of 100").waitFor();
          expect(await page.getByText("cannot be reached").count()).toBe(0);
          // Killed and resumed from step 41: its steps come again, and the last ones count.
          for (const record of stepRecords(41, 100, { base: 4 })) live.write(record);
          await page.getByText("step 41 of 100").waitFor();
          expect(await page.title()).toMatch(/^\d\.\d+ · nano-hot/);
        },
        { forgive: /ERR_CONNECTION|ERR_INCOMPLETE|ERR_EMPTY/ },
      ));

    it("colours idle experts blue and busy ones orange, and tells each one's load", () =>
      visit("/runs/live", async (page) => {
        const map = page.locator(".heat-canvas canvas");
        await map.waitFor();
        expect(await map.getAttribute("aria-label")).toContain("expert 3 of layer 3, has 3.00 times the mean");
        const colour = (layer: number, expert: number) =>
          map.evaluate(
            (canvas: HTMLCanvasElement, [l, e]) => [
              ...canvas
                .getContext("2d")!
                .getImageData(((e! + 0.5) / 8) * canvas.width, ((l! + 0.5) / 2) * canvas.height, 1, 1)
                .data.slice(0, 3),
            ],
            [layer, expert],
          );
        expect(await colour(1, 0)).toEqual([8, 48, 107]);
        expect(await colour(0, 0)).toEqual([245, 245, 242]);
        expect(await colour(1, 3)).toEqual([127, 39, 4]);
        const box = (await map.boundingBox())!;
        await map.hover({ position: { x: box.width * (3.5 / 8), y: box.height * 0.75 } });
        expect(await page.locator(".heat-hover").innerText()).toBe("layer 3, expert 3: 3.00× the mean");
        const slider = page.getByLabel("Moment of the run");
        await slider.fill("0");
        await page.locator(".heat-line output", { hasText: "step 10" }).first().waitFor();
        expect(await map.getAttribute("aria-label")).toContain("at step 10");
      }));

    it("shows values under the cursor, other axes, and the whole recipe", () =>
      visit("/runs/done", async (page) => {
        const loss = page.locator(".chart", { has: page.getByRole("heading", { name: "Loss", exact: true }) });
        await loss.locator("canvas").waitFor();
        await loss.locator(".u-over").hover({ position: { x: 5, y: 50 } });
        await loss.getByText(/^step \d$/).waitFor();
        await page.getByLabel("x axis").selectOption("tokens");
        await loss.locator(".u-over").hover({ position: { x: 300, y: 50 } });
        await loss.getByText(/^tokens \d+ k$/).waitFor();
        expect(await page.locator(".recipe").first().innerText()).toMatch(/optimizer\.lr\s+0\.01/);
        await page.getByLabel("logarithmic loss").check();
        await loss.locator("canvas").waitFor();
        expect(await nameless(page)).toEqual([]);
      }));

    it("says when there is no such run, and fits a phone", () =>
      visit(
        "/runs/none",
        async (page) => {
          await page.getByText("There is no run of this name").waitFor();
          await page.goto(`${server.url}/runs/live`);
          await page.locator(".chart canvas").first().waitFor();
          expect(await sideways(page)).toBe(0);
          await page.goto(`${server.url}/runs`);
          await page.locator(".run-table").waitFor();
          expect(await sideways(page)).toBe(0);
        },
        { viewport: { width: 360, height: 640 }, hasTouch: true, isMobile: true, forgive: /404/ },
      ));
  });

  describe("runs of reinforcement", () => {
    const question = "What is 1 + 1? <img src=x onerror='window.hacked=1'>";
    const STEPS = 20;
    let live: RunWriter;
    const kept = (writer: RunWriter, step: number) =>
      appendFile(
        join(writer.dir, "transcripts.jsonl"),
        `${JSON.stringify({
          step,
          prompt: `Parity of ${step}?`,
          reference: "odd",
          answers: [
            { text: `<think>bit by bit ${step} <script>window.hacked=2</script></think>odd`, reward: 1, tokens: 21 },
            { text: "<b>even</b>", reward: 0.25, tokens: 3 },
          ],
        })}\n`,
      );
    const begin = (id: string, group: number, startedAt: string) =>
      RunWriter.create(join(folder, "runs"), {
        id,
        recipeName: "zero-parity-16",
        recipe: { stage: "zero", task: "parity-16", group },
        startedAt,
      });
    async function write(writer: RunWriter, steps: number, late: number): Promise<void> {
      const test = (step: number) => {
        const right = 0.5 + (0.5 * step) / STEPS;
        writer.write({ type: "score", step, problems: 200, right, length: 3 + step, longShare: step / STEPS });
        writer.write({ type: "sample", step, prompt: question, text: `<think>after ${step}</think>2` });
      };
      test(0);
      for (let step = 1; step <= steps; step++) {
        for (const record of policyRecords(step, STEPS, { late })) writer.write(record);
        if (step % 10 === 0) {
          await kept(writer, step);
          test(step);
        }
      }
    }

    beforeAll(async () => {
      const done = await begin("zero-done", 16, "2026-11-22T10:00:00Z");
      await write(done, STEPS, 0.3);
      done.write({ type: "end", step: STEPS, reason: "done" });
      await done.close();
      live = await begin("zero-live", 8, "2026-11-23T10:00:00Z");
      await write(live, 10, 0.6);
    });
    afterAll(() => live.close());

    const tile = (page: Page, name: string) =>
      page
        .locator(".tiles > div", { has: page.getByText(name, { exact: true }) })
        .locator("dd")
        .first()
        .innerText();
    const chart = (page: Page, name: string) =>
      page.locator(".chart", { has: page.getByRole("heading", { name, exact: true }) });

    it("draws reward and its parts, tests, and what the answers were like, and no experts that were not logged", () =>
      visit("/runs/zero-done", async (page) => {
        await chart(page, "Reward").locator("canvas").waitFor();
        expect(await page.locator(".chart h3").allInnerTexts()).toEqual([
          "Reward",
          "Right on tests",
          "Length",
          "Answers that think",
          "Right, thinking or not",
          "Groups that teach nothing",
          "Entropy",
          "Cut off",
          "Drift",
          "Expert flips",
          "Seconds of a step",
          "Loss",
          "Learning rate",
          "Gradient norm",
          "Tokens per second",
        ]);
        expect(await chart(page, "Reward").getAttribute("aria-label")).toMatch(
          /^Reward: reward now 0\.9\d+, answer now 0\.9\d+, format now 0\.9\d+$/,
        );
        expect(await chart(page, "Right on tests").getAttribute("aria-label")).toBe(
          "Right on tests: right now 100 %, think now 100 %",
        );
        expect([await tile(page, "Right on tests"), await tile(page, "Dead groups"), await tile(page, "Took")]).toEqual(
          ["100 %", "60 %", "40 s"],
        );
        expect(await page.getByRole("heading", { name: "Expert load by layer" }).count()).toBe(0);
        expect(await nameless(page)).toEqual([]);
        await shot(page, "reason");
      }));

    it("shows rollouts and test answers early against late, as text, their thoughts folded", () =>
      visit("/runs/zero-done", async (page) => {
        const early = page.getByRole("region", { name: "Rollouts, early" });
        const late = page.getByRole("region", { name: "Rollouts, late" });
        await late.getByText("Parity of 20? → odd").waitFor();
        expect(await early.innerText()).toContain("Parity of 10?");
        const answer = late.locator(".answer-text").first();
        expect(await answer.innerText()).toMatch(/^.*thought, \d+ characters\s+odd\s+reward 1 · 21 tokens$/s);
        await answer.locator("summary").click();
        expect(await answer.innerText()).toContain("bit by bit 20 <script>window.hacked=2</script>");
        expect(await late.locator(".answer-text").nth(1).innerText()).toMatch(/^<b>even<\/b>\s+reward 0\.25/);
        await early.getByRole("combobox").selectOption("20");
        await early.getByText("Parity of 20?").waitFor();
        const tests = page.getByRole("region", { name: "Test answers, early" });
        expect(await tests.innerText()).toContain(question);
        await tests.locator("summary").click();
        expect(await tests.innerText()).toContain("after 0");
        expect(await page.locator(".early-late").locator("script, img, b").count()).toBe(0);
        expect(await page.evaluate(() => (window as unknown as { hacked?: number }).hacked)).toBeUndefined();
        await page.locator(".early-late").first().scrollIntoViewIfNeeded();
        await shot(page, "reason-rollouts");
      }));

    it("follows a run: new steps, new rollouts, and what goes wrong with what to do", () =>
      visit("/runs/zero-live", async (page) => {
        await page.getByText("step 10 of 20").waitFor();
        expect(await page.title()).toMatch(/^0\.\d+ · zero-parity-16/);
        expect(await page.locator(".advice").count()).toBe(0);
        for (let step = 11; step <= 20; step++)
          for (const record of policyRecords(step, STEPS, { late: 0.6 })) live.write(record);
        const message = "95 % of the groups teach nothing. Larger group, easier problems.";
        live.write({ type: "event", step: 12, level: "warn", message: "an older one", topic: "dead" });
        live.write({ type: "event", step: 20, level: "warn", message, topic: "dead" });
        await kept(live, 20);
        live.write({ type: "score", step: 20, problems: 200, right: 0.9, length: 20, longShare: 1 });
        await page.locator(".advice").getByText(message).waitFor();
        expect(await page.locator(".advice p").count()).toBe(1);
        await page.getByRole("region", { name: "Rollouts, late" }).getByText("Parity of 20?").waitFor();
        expect(await tile(page, "Right on tests")).toBe("90 %");
      }));

    it("lists them by reward and tests, and compares two", () =>
      visit("/runs", async (page) => {
        const row = page.locator(".run-table tbody tr", { hasText: "zero-done" });
        await row.locator("svg.spark").waitFor();
        expect(await row.locator("svg.spark").getAttribute("aria-label")).toMatch(/^Reward from 0\.5/);
        expect(await row.locator("[data-name=reward]").innerText()).toMatch(/^0\.9\d+$/);
        expect(await row.locator("[data-name=tests]").innerText()).toBe("100 %");
        await row.getByRole("checkbox").check();
        await page.locator(".run-table tbody tr", { hasText: "zero-live" }).getByRole("checkbox").check();
        await page.getByRole("button", { name: "Compare 2" }).click();
        await chart(page, "Reward: format").locator("canvas").waitFor();
        const titles = await page.locator(".chart h3").allInnerTexts();
        for (const title of ["Reward", "Tests: right", "Length: tokens", "Right, thinking or not: not", "Loss"])
          expect(titles).toContain(title);
        expect(await chart(page, "Tests: right").locator(".chart-values span").count()).toBe(2);
        await expect
          .poll(() => page.locator(".recipe tbody tr").allInnerTexts())
          .toEqual([expect.stringMatching(/^group\s+\d+\s+\d+$/)]);
        expect(await nameless(page)).toEqual([]);
        await shot(page, "reason-compare");
      }));

    it("fits a phone", () =>
      visit(
        "/runs/zero-done",
        async (page) => {
          await page.getByRole("region", { name: "Rollouts, late" }).getByText("Parity of 20?").waitFor();
          expect(await sideways(page)).toBe(0);
          await page.locator(".early-late").first().scrollIntoViewIfNeeded();
          await shot(page, "reason-phone");
          await page.goto(`${server.url}/runs?compare=zero-done,zero-live`);
          await page.locator(".chart canvas").first().waitFor();
          expect(await sideways(page)).toBe(0);
          await page.goto(`${server.url}/runs`);
          await page.locator(".run-table").waitFor();
          expect(await sideways(page)).toBe(0);
        },
        { viewport: { width: 360, height: 640 }, hasTouch: true, isMobile: true },
      ));
  });

  describe.runIf(FULL)("for everybody", () => {
    for (const colorScheme of ["light", "dark"] as const)
      for (const width of [360, 1200])
        it(`axe finds nothing, ${colorScheme}, ${width} px wide`, async () => {
          const found: string[] = [];
          const narrow = width < 700;
          await visit(
            "/",
            async (page) => {
              const look = async (state: string) => {
                found.push(...(await faultsFor(page, state)));
                if (narrow && (await sideways(page)) > 0) found.push(`${state}: wider than the screen`);
                await shot(page, `${state}-${colorScheme}-${width}`);
              };
              await page.locator(".model-name.up").waitFor();
              await look("welcome");
              await page.getByRole("button", { name: "What is 347 + 586?" }).click();
              await finished(page, 0);
              await page.getByRole("button", { name: /^Thought for/ }).click();
              await ask(page, "show me python");
              await page.locator(".code .hljs-comment").waitFor();
              await finished(page, 1);
              await page.locator(".composer input[type=file]").setInputFiles({
                name: "notes-of-a-long-day.txt",
                mimeType: "text/plain",
                buffer: Buffer.from("a note\n".repeat(500)),
              });
              await page.getByLabel("Your question").fill("What is in it?");
              await page.getByLabel(/^The context holds 3,/).waitFor();
              await look("answer");
              await page.getByRole("button", { name: "Remove notes" }).click();
              await page.getByRole("button", { name: "Change the question" }).last().click();
              await page.getByRole("button", { name: "Change the answer" }).first().click();
              await look("rewrite");
              await page.getByRole("button", { name: "Cancel" }).first().click();
              await page.getByRole("button", { name: "Cancel" }).first().click();
              for (const [name, state] of [
                ["Settings", "settings"],
                [/About the model|Model:/, "model"],
              ] as const) {
                await page.getByRole("button", { name }).first().click();
                await page.getByRole("dialog").waitFor();
                await look(state);
                await page.keyboard.press("Escape");
              }
              if (narrow) await page.getByRole("button", { name: "Chats", exact: true }).click();
              await page.locator(".side li").first().hover();
              await look("chats");
              await page.getByRole("button", { name: /^Save or share/ }).click();
              await look("file");
              await page.keyboard.press("Escape");
              await ask(page, "too long ".repeat(600));
              await page.locator(".failure").waitFor();
              await look("failure");
              for (const [path, state, ready] of [
                ["/c/nowhere", "missing", "h1"],
                ["/runs", "runs", ".run-table svg.spark"],
                ["/runs/done", "run", ".chart canvas"],
                ["/runs/zero-done", "reason", ".early-late"],
                ["/runs?compare=zero-done,done", "compare", ".chart canvas"],
                ["/runs/none", "no-run", ".empty"],
              ] as const) {
                await page.goto(server.url + path);
                await page.locator(ready).first().waitFor();
                await look(state);
              }
              const served = server;
              server = await servePages({ ...where(), runsDir: join(folder, "no-runs"), withModel: false });
              try {
                for (const path of ["/", "/runs"]) {
                  await page.goto(server.url + path);
                  await page.locator("h1, .empty h2").first().waitFor();
                  await look(`nothing${path.replace("/", "-")}`);
                }
              } finally {
                await server.close(0);
                server = served;
              }
            },
            {
              colorScheme,
              viewport: { width, height: narrow ? 640 : 800 },
              hasTouch: narrow,
              isMobile: narrow,
              forgive: /40\d/,
            },
          );
          expect(found).toEqual([]);
        });
  });
});
