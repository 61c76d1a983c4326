import { afterEach, expect, it } from "vitest";
import { printed } from "../../test/support/cli.ts";
import { policyRecords } from "../../test/support/scripted.ts";
import type { RunRecord } from "../runs/index.ts";
import { ReasonView } from "./reasonView.ts";

const wasTty = process.stderr.isTTY;
const asTerminal = (is: boolean | undefined): void =>
  void Object.defineProperty(process.stderr, "isTTY", { value: is, configurable: true });
afterEach(() => asTerminal(wasTty));

const score = (step: number, right: number): RunRecord => ({
  type: "score",
  step,
  problems: 200,
  right,
  length: 9,
  longShare: 0.5,
});

async function seen(records: readonly RunRecord[], tty: boolean): Promise<string> {
  asTerminal(tty);
  const { err } = await printed(async () => {
    const view = new ReasonView("zero-parity-16", tty ? "http://127.0.0.1:8090/runs/x" : undefined);
    for (const record of records) view.see(record);
    view.end();
  });
  return err;
}

it("draws a run's figures in place, below tests and warnings that stay", async () => {
  const [step, policy] = policyRecords(20, 20);
  const warning: RunRecord = { type: "event", step: 20, level: "warn", message: "all alike", topic: "dead" };
  const err = await seen([score(0, 0.5), step!, policy!, score(20, 1), warning], true);
  for (const words of [
    "test after 0 steps: 50 % right of 200, greedily",
    "zero-parity-16",
    "100.0 %  step 20/20",
    "answer 0.98",
    "50 % right after 0 steps, 50 % at first",
    "right: thinking 98 %, not 50 %",
    "20, 256 answers taught   dead 60 % (all right 50 %, worth nothing 1.0 %)",
    "drift 1.0e-5   expert flips 0   gradient norm 1.10",
    "40s   80.0K tokens",
    "(drawing 1.2, learning 0.8)",
    "live at http://127.0.0.1:8090/runs/x",
    "warn: step 20: all alike",
  ])
    expect(err).toContain(words);
  // nine lines of figures were taken away before the last test was told
  expect(err).toContain("\x1b[9A\x1b[0J");
});

it("prints a line now and then where there is no terminal, the last step's always", async () => {
  const err = await seen(Array.from({ length: 20 }, (_, i) => policyRecords(i + 1, 20)).flat(), false);
  const lines = err.trimEnd().split("\n");
  expect(lines).toHaveLength(2);
  expect(lines[1]).toMatch(
    /^step 20\/20 {2}reward 0\.9\d+ {2}length 2\d\.\d {2}thinks 100 % {2}right: thinking 98 %, not 50 % {2}dead groups 60 % {2}0s left$/,
  );
});

it("shows a stage that draws no answers by its loss", async () => {
  const records: RunRecord[] = [1, 2, 3].map((step) => ({
    type: "step",
    step,
    steps: 3,
    tokens: step,
    loss: 4 - step,
  }));
  const err = await seen([...records, { type: "eval", step: 3, loss: 1.5 }], false);
  expect(err).toMatch(
    /^step 2\/3 {2}loss 2\.0000.*\nstep 3\/3 {2}loss 1\.0000.*\nafter 3 steps: validation loss 1\.5000\n$/,
  );
});
