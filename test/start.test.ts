import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { CHROMIUM, launchBrowser } from "./support/browser.ts";

/*
 * What a stranger does first: `npm start`, open the page, ask. The command is package.json's own, on a port of the
 * system's choice; the model is the bundled one, and what it says is its own.
 */
const root = fileURLToPath(new URL("..", import.meta.url));
const words = (
  JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: { start: string } }
).scripts.start.split(" ");
const bundled = existsSync(join(root, "models/nano/config.json"));

describe.skipIf(!bundled || !CHROMIUM)("npm start", () => {
  let server: ChildProcess | undefined;
  afterAll(() => void server?.kill("SIGTERM"));

  it("serves the bundled model, and its chat answers in a browser", async () => {
    expect(words[0]).toBe("node");
    server = spawn(process.execPath, [...words.slice(1), "--port", "0", "--json"], {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const url = await firstUrl(server);
    const browser = await launchBrowser();
    try {
      const page = await browser.newPage();
      page.setDefaultTimeout(40_000);
      await page.addInitScript(() => localStorage.setItem("sumbi.settings", '{"temperature":0}'));
      await page.goto(url);
      await page.locator(".model-name.up", { hasText: "nano" }).waitFor();
      await page.getByLabel("Your question").fill("What is 347 + 586?");
      await page.keyboard.press("Enter");
      await page.locator("article.answer .figures[title]").waitFor();
      // Whether the sum is right is the report's to measure; that it is a sum with its working is this test's.
      expect(await page.locator("article.answer .markdown").first().innerText()).toMatch(/347 \+ 586 = \d+/);
      await page.getByRole("button", { name: /^Thought for/ }).click();
      expect(await page.locator(".thought-body").innerText()).toContain("7+6+0=13 carry 1");
    } finally {
      await browser.close();
    }
  });
});

/** The address that a server prints as JSON; throws with what it said otherwise when it ends instead. */
function firstUrl(server: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let out = "";
    let said = "";
    server.stdout!.on("data", (piece: Buffer) => {
      out += piece.toString();
      const line = out.split("\n").find((l) => l.startsWith("{"));
      if (line && out.includes("\n")) resolve((JSON.parse(line) as { url: string }).url);
    });
    server.stderr!.on("data", (piece: Buffer) => (said += piece.toString()));
    server.on("exit", (code) => reject(new Error(`npm start ended with ${code}: ${said}`)));
  });
}
