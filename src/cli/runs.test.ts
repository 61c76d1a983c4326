import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "../../test/folders.ts";
import { outputOf } from "../../test/support/cli.ts";
import { policyRecords } from "../../test/support/scripted.ts";
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

describe("a run of reinforcement", () => {
  it("is listed by reward and tests, shown in detail, and laid beside another", async () => {
    for (const [id, late] of [
      ["early", 0.3],
      ["late", 0.7],
    ] as const) {
      const writer = await RunWriter.create(runs, { id, recipeName: "zero-x", recipe: { stage: "zero", late } });
      for (let step = 1; step <= 20; step++)
        for (const record of policyRecords(step, 20, { late })) writer.write(record);
      for (const [step, right] of [
        [0, 0.5],
        [20, 0.9],
      ] as const)
        writer.write({ type: "score", step, problems: 200, right, length: 5, longShare: 0.5 });
      writer.write({ type: "event", step: 7, level: "warn", message: "all\u001b[2J alike", topic: "dead" });
      writer.write({ type: "end", step: 20, reason: "done" });
      await writer.close();
      const kept = (step: number) =>
        JSON.stringify({
          step,
          prompt: `q${step}`,
          reference: "4",
          answers: [{ text: "<think>so</think>\u001b]0;x4", reward: 1 }],
        });
      writeFileSync(join(writer.dir, "transcripts.jsonl"), [1, 10, 20].map((step) => `${kept(step)}\n`).join(""));
    }
    expect(await run()).toMatch(/^late .*reward 0\.9\d+ {2}tests 90 %$/m);
    const shown = await run("show", "early");
    expect(shown).toMatch(/^early {2}done {2}step 20\/20 {3}40s {3}80\.0K tokens {3}\$0\.0001 {3}0\.001 kWh$/m);
    expect(shown).toMatch(/^ {2}tests right +50 % → 90 %/m);
    expect(shown).toMatch(/^ {2}thinks +\d+(\.\d)? % → 100 % +▁.*█$/m);
    expect(shown).toContain("warn: step 7: all[2J alike");
    expect(shown).toMatch(
      /answers of step 1 to q1 → 4\n {2}reward 1\.00 {2}<think>so<\/think>\]0;x4\nanswers of step 20 to q20/,
    );
    expect(shown).not.toContain("\u001b");
    expect(JSON.parse(await run("show", "early", "--json"))).toMatchObject({
      id: "early",
      reward: expect.closeTo(0.98, 2),
      score: 0.9,
      joules: 2600,
      warnings: [{ step: 7, topic: "dead" }],
      rollouts: [{ step: 1 }, { step: 20 }],
    });
    await expect(run("show", "none")).rejects.toThrow(/runs: no run none in /);
    const beside = await run("early", "late");
    expect(beside).toMatch(/^reward +0\.9\d+ +0\.9\d+/m);
    expect(beside).toMatch(/^energy +0\.0007 kWh +0\.0007 kWh/m);
    expect(beside).toMatch(/^late +0\.7 +0\.3|^late +0\.3 +0\.7/m);
  });
});
