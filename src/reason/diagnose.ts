/** What goes wrong with a run of reinforcement, in plain words and with what to do: from its records alone. */
import type { EventRecord, PolicyRecord, RunRecord, StepRecord } from "../runs/index.ts";
import { signalShare } from "./policy.ts";
import { mean } from "./statistics.ts";

/** What a run was told that its records do not tell. */
export interface Told {
  /** Answers to a problem: G. */
  group: number;
  maxTokens: number;
  /** Weights of the parts of the reward. */
  weights: Readonly<Record<string, number>>;
  /** What alone is looked for; default all. */
  topics?: readonly string[];
  /** Drift beyond this is a fault: 1e-4 where answers are drawn in the precision that is trained. */
  driftMost?: number;
}

/** One step of a run. */
export interface DiagnosedStep {
  policy: PolicyRecord;
  /** Absent where a log lacks it. */
  step?: StepRecord;
}

export interface Finding {
  topic: string;
  message: string;
}

/** Steps that are looked at together: fewer are judged by nothing but the last one's faults. */
const WINDOW = 5;
/** From these shares on. */
const DEAD_MOST = 0.9;
const SOLVED_MOST = 0.8;
const TRUNCATED_MOST = 0.1;
/** A fall to this share of what it was is a collapse. */
const LENGTH_LEFT = 0.5;
const THINKS_LEFT = 0.6;
const ENTROPY_LEFT = 0.2;
/** Nats: below this all answers to a question are nearly the same. */
const ENTROPY_LEAST = 0.05;
/** Thinking is worth its length when it is right more often by this. */
const LEAD_LEAST = 0.05;
const DRIFT_MOST = 1e-4;

const percent = (share: number): string => `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;

/** The steps in a view of the last few and of those before. */
class View {
  readonly last: readonly DiagnosedStep[];

  constructor(readonly steps: readonly DiagnosedStep[]) {
    this.last = steps.slice(-WINDOW);
  }

  get full(): boolean {
    return this.last.length === WINDOW;
  }

  get now(): DiagnosedStep | undefined {
    return this.last.at(-1);
  }

  /** Mean of the last steps; NaN where none has it. */
  of(pick: (policy: PolicyRecord) => number | undefined): number {
    return meanOf(this.last, pick);
  }

  /** Means of the windows before the last one, and the policy's reward in the same. */
  before(pick: (policy: PolicyRecord) => number | undefined): { value: number; reward: number }[] {
    const earlier = this.steps.slice(0, -WINDOW);
    return Array.from({ length: Math.max(0, earlier.length - WINDOW + 1) }, (_, i) => {
      const window = earlier.slice(i, i + WINDOW);
      return { value: meanOf(window, pick), reward: meanOf(window, ({ reward }) => reward) };
    }).filter(({ value }) => Number.isFinite(value));
  }
}

function meanOf(steps: readonly DiagnosedStep[], pick: (policy: PolicyRecord) => number | undefined): number {
  const values = steps.map(({ policy }) => pick(policy)).filter((value) => value !== undefined);
  return values.length === 0 ? Number.NaN : mean(values);
}

type Rule = (view: View, told: Told) => string | undefined;

const rules: Readonly<Record<string, Rule>> = {
  drift({ now }, { driftMost = DRIFT_MOST }) {
    const { driftMax, flips } = now?.policy ?? {};
    const flipped = flips === undefined || flips === 0 ? "" : `, and ${flips} choices of experts differ`;
    if (!((driftMax ?? 0) > driftMost) && flipped === "") return undefined;
    return (
      `Answers are not drawn from what is trained: log-probabilities of drawing and training differ by up to ${(driftMax ?? 0).toExponential(1)}${flipped} ` +
      `(at most ${driftMost} and none are right). Learning goes astray the longer this lasts. It is a fault of Sumbi where nothing but f32 is set: report it with the run's folder`
    );
  },

  still({ last, full }) {
    const taught = last.filter(({ policy }) => policy.trained > 0);
    if (!full || taught.length < WINDOW || !taught.every(({ step }) => step?.gradNorm === 0)) return undefined;
    return (
      `Nothing moves: the gradient is 0 in ${WINDOW} steps in a row though there was something to teach. An adapter both halves of which are 0 does that; ` +
      "one begins with B at 0 and A drawn. Begin again with a new adapter, or with all weights"
    );
  },

  format(view, { weights }) {
    if (!view.full || !(weights["format"] ?? 0)) return undefined;
    const earned = view.of(({ parts }) => parts["format"]);
    if (!(earned < 0.001)) return undefined;
    const why = commonest(view.last);
    const found = `No answer has earned the reward for its format in ${WINDOW} steps, so that part teaches nothing`;
    return `${found}. ${why === undefined ? FORMAT_ADVICE : `${percent(why.share)} of the answers ${why.name}. ${MALFORMED[why.name] ?? FORMAT_ADVICE}`}`;
  },

  dead(view, { group }) {
    const { full, last } = view;
    const dead = view.of((policy) => policy.dead);
    if (!full || !(dead >= DEAD_MOST)) return undefined;
    const solved = view.of((policy) => policy.solved);
    const hopeless = view.of((policy) => policy.hopeless);
    const found = `${percent(dead)} of the groups teach nothing, their answers being all worth the same`;
    if (solved >= SOLVED_MOST)
      return `${found}: ${percent(solved)} are all right. The task is learned, or it is too easy for this model: stop here (Ctrl-C saves; sumbi runs export writes the model), or go on with harder problems`;
    if (hopeless < dead / 2)
      return `${found}, though neither right nor worthless: the reward does not tell these answers apart. Give more weight to the part \`answer\`, or a finer score`;
    const right = mean(last.map(({ policy }) => policy.parts["answer"] ?? policy.reward));
    const larger = group * 4;
    const teach = right > 0 ? ` (of groups of ${larger}, ${percent(signalShare(right, larger))} would teach)` : "";
    return `${found}: ${percent(hopeless)} are worth nothing. The task is too hard for this model. Larger groups: --set group=${larger}${teach}; easier problems; or teach the working first (more worked texts, sumbi reason sft)`;
  },

  truncation(view, { maxTokens }) {
    const cut = view.of((policy) => policy.truncated);
    if (!view.full || !(cut >= TRUNCATED_MOST)) return undefined;
    return `${percent(cut)} of the answers are cut off at ${maxTokens} tokens and count as wrong, however right they were going to be. Begin again with --set maxTokens=${maxTokens * 2}, if the context holds it; where answers go in circles, give weights.repetition a weight`;
  },

  thinking(view) {
    const share = view.of((policy) => policy.longShare);
    const long = view.of((policy) => policy.longRight);
    const short = view.of((policy) => policy.shortRight);
    const most = Math.max(...view.before((policy) => policy.longShare).map(({ value }) => value));
    if (!view.full || !(most >= 0.05) || !(share < THINKS_LEFT * most) || !(long - short < LEAD_LEAST))
      return undefined;
    return (
      `Answers think less and less (${percent(most)} → ${percent(share)}), and reinforcement is right to do so: those that think are right in ${percent(long)}, the others in ${percent(short)}. ` +
      "Teach the working until it is right more often than a glance (more worked texts, sumbi reason sft), lower the learning rate, or choose a task that a glance cannot answer"
    );
  },

  length(view) {
    const length = view.of((policy) => policy.length);
    const reward = view.of((policy) => policy.reward);
    const earlier = view.before((policy) => policy.length);
    const longest = earlier.reduce((most, one) => (one.value > most.value ? one : most), { value: 0, reward: 0 });
    if (!view.full || !(length < LENGTH_LEFT * longest.value) || !(reward < longest.reward + 0.02)) return undefined;
    return (
      `Answers have become short (${longest.value.toFixed(1)} → ${length.toFixed(1)} tokens) without becoming better (reward ${longest.reward.toFixed(3)} → ${reward.toFixed(3)}). ` +
      "Lower the learning rate and begin again, or go back to an earlier state; look at rollouts early against late for what is left out"
    );
  },

  entropy(view) {
    const entropy = view.of((policy) => policy.entropy);
    const solved = view.of((policy) => policy.solved);
    const right = view.of((policy) => policy.parts["answer"] ?? policy.reward);
    const first = view.before((policy) => policy.entropy)[0]?.value ?? Number.NaN;
    if (!view.full || !(entropy < ENTROPY_LEAST && entropy < ENTROPY_LEFT * first) || solved >= 0.5) return undefined;
    return (
      `Answers to a question have become nearly the same (entropy ${first.toFixed(3)} → ${entropy.toFixed(3)} nats) while ${percent(right)} are right: nothing new is found any more. ` +
      "Begin again with a lower learning rate, a higher temperature, or larger groups"
    );
  },
};

const FORMAT_ADVICE =
  "Show the form first (sumbi reason sft, or worked texts in pretraining), or take the part's weight away: --set weights.format=0";

/** By why a reply has not its form (`malformed` of a policy record). */
const MALFORMED: Readonly<Record<string, string>> = {
  "open the thought again":
    "The chat template has opened it already (the prompt ends with <think>), so that this reward can never be earned: take <think> out of the template's generation prompt, train on texts whose replies begin within the thought, or --set weights.format=0",
  "close a thought that they did not open":
    "The model learned from a template that opens the thought, and this one does not: put <think> at the end of the template's generation prompt",
  "do not think": `A reply must begin with <think>, and none is drawn that does: reinforcement cannot find it by chance. ${FORMAT_ADVICE}`,
  "are cut off": "Larger maxTokens, so that thoughts come to their end",
  "never close their thought": `Larger maxTokens may do; else: ${FORMAT_ADVICE}`,
};

/** What most answers' form lacks, by the last steps that tell. */
function commonest(steps: readonly DiagnosedStep[]): { name: string; share: number } | undefined {
  const told = steps.map(({ policy }) => policy.malformed).filter((one) => one !== undefined);
  const names = new Set(told.flatMap((one) => Object.keys(one)));
  const shares = [...names].map((name) => ({ name, share: mean(told.map((one) => one[name] ?? 0)) }));
  return shares.sort((a, b) => b.share - a.share)[0];
}

/** All that is wrong after these steps, oldest first; each by its topic once. */
export function diagnose(steps: readonly DiagnosedStep[], told: Told): Finding[] {
  const view = new View(steps);
  return Object.entries(rules).flatMap(([topic, rule]) => {
    const message = told.topics?.includes(topic) === false ? undefined : rule(view, told);
    return message === undefined ? [] : [{ topic, message }];
  });
}

/** Steps that are remembered: what a collapse is measured from may lie as far back. */
const REMEMBERED = 400;
/** A topic is told again when it had been over for so many steps. A run that was killed goes back by fewer, or learns of it once more. */
const OVER_AFTER = 10;

/** A diagnosis that goes along with a run: what is found is told once, and again when it had been over. */
export class Diagnosis {
  #steps: DiagnosedStep[] = [];
  #step: StepRecord | undefined;
  /** The last step at which a topic was found. */
  readonly #found = new Map<string, number>();

  constructor(readonly told: Told) {}

  /** Takes records as they are logged; gives what is to be logged after them. Those of an earlier session are fed first. */
  see(record: RunRecord): EventRecord[] {
    if (record.type === "step") this.#step = record;
    if (record.type !== "policy") return [];
    const step = this.#step?.step === record.step ? this.#step : undefined;
    this.#steps = [...this.#steps.filter(({ policy }) => policy.step < record.step), { policy: record, step }].slice(
      -REMEMBERED,
    );
    const events: EventRecord[] = [];
    for (const { topic, message } of diagnose(this.#steps, this.told)) {
      const last = this.#found.get(topic) ?? -Infinity;
      if (Math.abs(record.step - last) > OVER_AFTER)
        events.push({ type: "event", step: record.step, level: "warn", message, topic });
      this.#found.set(topic, record.step);
    }
    return events;
  }
}
