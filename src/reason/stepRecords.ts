/** What a stage that draws answers writes down of a step: records of the log, and some of the answers. */
import { appendFile } from "node:fs/promises";
import { join } from "node:path";
import type { PolicyRecord, RolloutRecord, StepRecord } from "../runs/index.ts";
import type { Group } from "./rollouts.ts";

/** A step of such a stage: the policy's record, and what the step's own takes of it. */
interface StepReport extends Omit<PolicyRecord, "type"> {
  loss: number;
  learningRate: number;
  gradNorm: number;
  stepSeconds: number;
  tokensPerSecond: number;
}

/** Some of a step's groups as lines of transcripts.jsonl, so that early and late answers can be read side by side. */
export async function keepTranscripts(dir: string, groups: readonly Group[], step: number): Promise<void> {
  const lines = groups.slice(0, 4).map(({ problem, rollouts }) => {
    const record: RolloutRecord = {
      step,
      prompt: problem.prompt.at(-1)?.content ?? "",
      reference: problem.reference,
      answers: rollouts.slice(0, 4).map(({ reply: { text, tokens, opened }, reward }) => ({
        text,
        reward: reward.total,
        tokens,
        ...(opened ? { opened } : {}),
      })),
    };
    return JSON.stringify(record);
  });
  await appendFile(join(dir, "transcripts.jsonl"), `${lines.join("\n")}\n`).catch((error: unknown) => {
    if (!(error instanceof Error && "code" in error)) throw error;
  });
}

/** A step's records: what training tells of every step, and what the answers were like. */
export function recordsOf(
  report: StepReport,
  { tokens }: { tokens: number },
  steps: number,
  etaSeconds: number,
): [StepRecord, PolicyRecord] {
  const { step, loss, learningRate, gradNorm, stepSeconds, tokensPerSecond, ...rest } = report;
  return [
    {
      type: "step",
      step,
      steps,
      tokens,
      loss,
      lr: learningRate,
      gradNorm,
      tokensPerSecond,
      etaSeconds,
      stepSeconds,
    },
    { type: "policy", step, ...rest },
  ];
}
