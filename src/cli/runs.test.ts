import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "../../test/folders.ts";
import { outputOf } from "../../test/support/cli.ts";
import { RunReader, RunWriter } from "../runs/index.ts";
import { createApp } from "../serve/index.ts";
import { register } from "./runs.ts";

const temporary = temporaryFolder();
afterAll(() => temporary[Symbol.dispose]());
const runs = join(temporary.dir, "runs");

const run = (...args: string[]): Promise<string> => outputOf([register], ["runs", "--runs", runs, ...args]);

describe("one bad run.json among others", () => {
  it("is listed with the reason, by sumbi runs and by the page's API, and hides nothing", async () => {
    for (const [id, loss] of [
      ["good", 2],
      ["bad", 3],
    ] as const) {
      const writer = await RunWriter.create(runs, { id, recipeName: "tiny", recipe: { lr: 1 } });
      writer.write({ type: "step", step: 1, steps: 1, tokens: 9, loss });
      writer.write({ type: "end", step: 1, reason: "done" });
      await writer.close();
    }
    writeFileSync(join(runs, "good", "log.jsonl"), '{"type":"step","step":1,"steps":1,"tokens":9,"loss":"x"}\n', {
      flag: "a",
    });
    writeFileSync(
      join(runs, "bad", "run.json"),
      '{"startedAt":"2026-01-01T00:00:00Z","recipeName":"tiny","recipe":null}',
    );
    const lines = (await run()).trimEnd().split("\n");
    expect(lines[0]).toMatch(/^good {2}done .* loss 2\.0000 .* 1 lines of its log cannot be read$/);
    expect(lines[1]).toMatch(/^bad {3}unreadable .*run\.json: recipe: expected record, got null$/);
    expect(lines).toHaveLength(2);
    expect(JSON.parse(await run("--json"))).toMatchObject([
      { id: "good", status: "done" },
      { id: "bad", status: "unreadable" },
    ]);
    await expect(run("bad")).rejects.toThrow(/run\.json: recipe: expected record, got null/);

    const app = createApp({ runs: new RunReader(runs) });
    expect(await (await app.request("/api/runs")).json()).toMatchObject([
      { id: "good" },
      { id: "bad", status: "unreadable", problem: expect.stringContaining("recipe: ") },
    ]);
    expect((await app.request("/api/runs/good")).status).toBe(200);
    for (const path of ["/api/runs/bad", "/api/runs/bad/stream"]) {
      const answer = await app.request(path);
      expect(answer.status).toBe(422);
      expect(await answer.json()).toMatchObject({
        error: { code: "run_unreadable", message: expect.stringContaining("recipe: expected record, got null") },
      });
    }
    expect((await app.request("/api/runs/none")).status).toBe(404);
  });
});
