/** A run of a reasoning stage in the terminal: what its answers are like, how tests go, what goes wrong. */
import pc from "picocolors";
import type { PolicyRecord, RunRecord, ScoreRecord, StepRecord } from "../runs/index.ts";
import { heading, Pinned, rows, sparkline } from "./pinned.ts";
import { count, duration } from "./print.ts";
import { spentInWords } from "./trainView.ts";

export const percent = (share: number | undefined): string =>
  share === undefined ? "–" : `${(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;

/** Without a terminal a step's line at most so often. */
const QUIET_MS = 2_000;
/** Bars of a curve. */
const WIDTH = 32;

/** Fed with a run's records as they are logged. */
export class ReasonView {
  readonly #pinned = new Pinned(QUIET_MS);
  readonly #rewards: number[] = [];
  readonly #lengths: number[] = [];
  readonly #losses: number[] = [];
  readonly #scores: ScoreRecord[] = [];
  #step: StepRecord | undefined;

  constructor(
    readonly title: string,
    readonly web: string | undefined,
  ) {}

  see(record: RunRecord): void {
    if (record.type === "step") this.#takeStep(record);
    if (record.type === "policy") this.#takePolicy(record);
    if (record.type === "score") {
      this.#scores.push(record);
      this.note(
        `${pc.bold(`test after ${record.step} steps: ${percent(record.right)} right`)} of ${record.problems}, greedily; length ${record.length.toFixed(1)}, thinks ${percent(record.longShare)}`,
      );
    }
    if (record.type === "eval")
      this.note(pc.bold(`after ${record.step} steps: validation loss ${record.loss.toFixed(4)}`));
    // the gate's words are said before the first step, an error at the end
    if (record.type === "event" && record.level === "warn" && !record.message.startsWith("gate:"))
      this.note(`${pc.yellow("warn")}: step ${record.step}: ${record.message}`);
  }

  /** Prints a line that stays, above the figures. */
  note(text: string): void {
    this.#pinned.note(text);
  }

  end(): void {
    this.#pinned.end();
  }

  /** Of a stage that draws no answers, which its second step tells, a step's record is all there is. */
  #takeStep(step: StepRecord): void {
    const first = this.#step === undefined;
    this.#step = step;
    this.#losses.push(step.loss);
    if (first || this.#rewards.length > 0) return;
    this.#pinned.show(
      () => [
        heading(this.title, step),
        ...rows([
          ["loss", `${pc.bold(step.loss.toFixed(4))}   ${pc.cyan(sparkline(this.#losses, WIDTH))}`],
          this.#learning(step),
          ...this.#common(step),
        ]),
        ...this.#foot(),
      ],
      () => `step ${step.step}/${step.steps}  loss ${step.loss.toFixed(4)}  ${duration(step.etaSeconds ?? 0)} left`,
      step.step === step.steps,
    );
  }

  #takePolicy(policy: PolicyRecord): void {
    const step = this.#step;
    if (step === undefined) return;
    this.#rewards.push(policy.reward);
    this.#lengths.push(policy.length);
    this.#pinned.show(
      () => [heading(this.title, step), ...rows(this.#figures(step, policy)), ...this.#foot()],
      () => lineOf(step, policy),
      step.step === step.steps,
    );
  }

  #figures(step: StepRecord, policy: PolicyRecord): [string, string][] {
    const { reward, parts, length, longShare, longRight, shortRight, groups, trained, dead, solved, hopeless } = policy;
    const named = Object.entries(parts).map(([name, value]) => `${name} ${value.toFixed(2)}`);
    const [first, now] = [this.#scores[0], this.#scores.at(-1)];
    return [
      [
        "reward",
        `${pc.bold(reward.toFixed(3))}   ${pc.cyan(sparkline(this.#rewards, WIDTH))}   ${pc.dim(named.join("  "))}`,
      ],
      ...(first && now
        ? [
            [
              "tests",
              `${pc.bold(percent(now.right))} right after ${now.step} steps, ${percent(first.right)} at first`,
            ] as [string, string],
          ]
        : []),
      [
        "length",
        `${length.toFixed(1)} tokens   ${pc.cyan(sparkline(this.#lengths, WIDTH))}   cut off ${percent(policy.truncated)}`,
      ],
      ["thinks", `${percent(longShare)}   right: thinking ${percent(longRight)}, not ${percent(shortRight)}`],
      policy.teacherKl === undefined
        ? [
            "groups",
            `${groups}, ${trained} answers taught   dead ${percent(dead)} (all right ${percent(solved)}, worth nothing ${percent(hopeless)})`,
          ]
        : ["teacher", `KL ${pc.bold(policy.teacherKl.toFixed(4))} nats a token, of ${trained} answers`],
      ["policy", policyInWords(step, policy)],
      ...this.#common(step, policy),
    ];
  }

  #learning({ lr, gradNorm, tokensPerSecond }: StepRecord): [string, string] {
    const rate = lr === undefined ? "" : `lr ${lr.toExponential(2)}   `;
    return ["state", `${rate}gradient norm ${(gradNorm ?? 0).toFixed(2)}   ${count(tokensPerSecond ?? 0)} tokens/s`];
  }

  #common(step: StepRecord, policy?: PolicyRecord): [string, string][] {
    const { rolloutSeconds, trainSeconds, teacherSeconds } = policy ?? {};
    const teacher = teacherSeconds === undefined ? "" : `, the teacher ${teacherSeconds.toFixed(1)}`;
    const apart =
      rolloutSeconds === undefined || trainSeconds === undefined
        ? ""
        : ` (drawing ${rolloutSeconds.toFixed(1)}, learning ${trainSeconds.toFixed(1)}${teacher})`;
    return [["spent", `${spentInWords(step)}   step ${(step.stepSeconds ?? 0).toFixed(1)} s${apart}`]];
  }

  #foot(): string[] {
    return this.web ? [pc.dim(`  live at ${this.web}   Ctrl-C saves and ends`)] : [];
  }
}

/** What there is of entropy, drift, KL, clipping and experts. */
function policyInWords(step: StepRecord, { entropy, driftMax, kl, clipShare, flips }: PolicyRecord): string {
  return [
    ...(entropy === undefined ? [] : [`entropy ${entropy.toFixed(3)}`]),
    ...(driftMax === undefined ? [] : [`drift ${driftMax.toExponential(1)}`]),
    ...(kl === undefined ? [] : [`KL ${kl.toExponential(1)}`]),
    ...(clipShare === undefined ? [] : [`clipped ${percent(clipShare)}`]),
    ...(flips === undefined ? [] : [`expert flips ${flips}`]),
    ...(step.gradNorm === undefined ? [] : [`gradient norm ${step.gradNorm.toFixed(2)}`]),
  ].join("   ");
}

/** A step where there is no terminal. */
function lineOf(step: StepRecord, policy: PolicyRecord): string {
  const { reward, length, longShare, longRight, shortRight, dead, teacherKl } = policy;
  const taught = teacherKl === undefined ? `dead groups ${percent(dead)}` : `KL to the teacher ${teacherKl.toFixed(4)}`;
  return (
    `step ${step.step}/${step.steps}  reward ${reward.toFixed(3)}  length ${length.toFixed(1)}  thinks ${percent(longShare)}` +
    `  right: thinking ${percent(longRight)}, not ${percent(shortRight)}  ${taught}  ${duration(step.etaSeconds ?? 0)} left`
  );
}
