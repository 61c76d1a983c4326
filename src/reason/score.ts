/** How a stage is doing: test problems answered greedily by the weights as they are. */
import type { RunRecord } from "../runs/index.ts";
import { rightness } from "./rewards.ts";
import type { Rollouts } from "./rollouts.ts";
import { distinctProblems } from "./task.ts";

/** Test problems, greedily; a few of them as samples for people. */
export async function scoreGreedily(
  rollouts: Rollouts,
  options: { problems: number; maxTokens: number; seed: number },
  step: number,
  write: (record: RunRecord) => void,
): Promise<void> {
  const { seed } = options;
  const problems = await distinctProblems(rollouts.task, seed, "test", options.problems);
  const maxTokens = Math.min(options.maxTokens, rollouts.roomFor(problems));
  const asked = problems.map((problem) => rollouts.prompt(problem, maxTokens));
  const groups = await rollouts.draw(asked, { group: 1, maxTokens, temperature: 0, seed }, "none");
  const all = groups.flatMap((group) => group.rollouts);
  const share = (of: (one: (typeof all)[number]) => number): number =>
    all.reduce((sum, one) => sum + of(one), 0) / all.length;
  write({
    type: "score",
    step,
    problems: all.length,
    right: share(({ reward }) => rightness(reward)),
    length: share(({ ids }) => ids.length),
    longShare: share(({ long }) => (long ? 1 : 0)),
  });
  for (const { problem, rollouts: answers } of groups.slice(0, SHOWN))
    write({ type: "sample", step, prompt: problem.prompt.at(-1)?.content ?? "", text: answers[0]?.reply.text ?? "" });
}

const SHOWN = 3;
