/** A run's figures at a glance. */
import { dollars, duration, energy, figure, percent, short } from "../ui/format.ts";
import { has } from "./curves.ts";
import { isReinforced, latest, type RunLog } from "./log.ts";

interface Tile {
  name: string;
  value: string;
  note?: string;
  help?: string;
  bad?: boolean;
}

export function Tiles({ log, running }: { log: RunLog; running: boolean }) {
  const tiles = isReinforced(log) ? reasoningTiles(log, running) : trainingTiles(log, running);
  return (
    <dl class="tiles">
      {tiles.map((tile) => (
        <div key={tile.name} class={tile.bad ? "bad" : ""} title={tile.help}>
          <dt>{tile.name}</dt>
          <dd>{tile.value}</dd>
          {tile.note && <dd class="note">{tile.note}</dd>}
        </div>
      ))}
    </dl>
  );
}

function timeTile(log: RunLog, running: boolean): Tile {
  const seconds = latest(log, "seconds");
  if (!running) return { name: "Took", value: duration(seconds ?? NaN) };
  return {
    name: "Left",
    value: duration(latest(log, "etaSeconds") ?? NaN),
    note: seconds === undefined ? undefined : `${duration(seconds)} so far`,
  };
}

const costTiles = (log: RunLog): Tile[] => [
  {
    name: "Cost so far",
    value: dollars(latest(log, "usd") ?? NaN),
    help: "At the recipe's price per hour and per kWh",
  },
  { name: "Energy so far", value: energy(latest(log, "joules") ?? NaN), help: "At the recipe's watts" },
];

/** What a run of training has come to. */
function trainingTiles(log: RunLog, running: boolean): Tile[] {
  const evalLoss = log.evals.at(-1)?.loss;
  const best = log.evals.length > 0 ? Math.min(...log.evals.map((e) => e.loss)) : undefined;
  const busiest = log.loads.at(-1)?.busiest;
  return [
    {
      name: "Loss",
      value: figure(latest(log, "mainLoss") ?? latest(log, "loss")),
      note: has(log, "mtpLoss") ? `${figure(latest(log, "loss"))} with MTP` : "nats per token",
      help: "Cross entropy of the next token, in nats",
    },
    {
      name: "Held-out loss",
      value: figure(evalLoss),
      note: best === undefined ? "not measured yet" : `best ${figure(best)}`,
    },
    timeTile(log, running),
    {
      name: "Tokens per second",
      value: short(latest(log, "tokensPerSecond") ?? NaN),
      note: `${short(latest(log, "tokens") ?? NaN)} tokens seen`,
    },
    {
      name: "Share of GEMM peak",
      value: percent(latest(log, "gemmShare") ?? NaN),
      note: latest(log, "flopsPerSecond") === undefined ? undefined : `${short(latest(log, "flopsPerSecond")!)}FLOP/s`,
      help: "Useful arithmetic against what this machine's matrix product reached when measured",
    },
    ...costTiles(log),
    ...(busiest === undefined
      ? []
      : [
          {
            name: "Busiest expert",
            value: `${busiest.toFixed(2)}×`,
            note: "of its layer's mean",
            bad: busiest > 1.5,
            help: "Balanced runs stay under 1.5×",
          },
        ]),
  ];
}

/** From here on too many answers are cut off, or too many groups teach nothing. */
const CUT_OFF_MOST = 0.1;
const DEAD_MOST = 0.9;

const share = (value: number | undefined): string => percent(value ?? NaN);

/** What a run of reinforcement has come to. */
function reasoningTiles(log: RunLog, running: boolean): Tile[] {
  const [first, now] = [log.policies[0], log.policies.at(-1)];
  const [before, test] = [log.scores[0], log.scores.at(-1)];
  const from = (text: string | undefined): string | undefined =>
    text !== undefined && log.policies.length > 1 ? `${text} at first` : undefined;
  return [
    {
      name: "Reward",
      value: figure(now?.reward),
      note: from(first && figure(first.reward)),
      help: "Mean of the last step's answers",
    },
    {
      name: "Right on tests",
      value: share(test?.right),
      note: test && before && test !== before ? `${percent(before.right)} at first` : "greedily",
      help: "Problems that no stage has met",
    },
    timeTile(log, running),
    {
      name: "Length",
      value: now ? now.length.toFixed(1) : "–",
      note: from(first?.length.toFixed(1)) ?? "tokens",
      help: "Tokens of an answer",
    },
    {
      name: "Answers that think",
      value: share(now?.longShare),
      note: now && `right: ${share(now.longRight)}, others ${share(now.shortRight)}`,
    },
    now?.teacherKl === undefined
      ? {
          name: "Dead groups",
          value: share(now?.dead),
          note: now && `${now.trained.toLocaleString("en-US")} answers taught`,
          bad: (now?.dead ?? 0) > DEAD_MOST,
        }
      : {
          name: "KL to the teacher",
          value: figure(now.teacherKl),
          note: from(first && figure(first.teacherKl)),
          help: "Nats a token, over the whole vocabulary",
        },
    { name: "Cut off", value: share(now?.truncated), bad: (now?.truncated ?? 0) > CUT_OFF_MOST },
    ...costTiles(log),
  ];
}
