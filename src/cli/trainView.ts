/** A training run in the terminal: its line, its curve, its samples. */
import pc from "picocolors";
import { dollars } from "../format.ts";
import type { StepRecord } from "../runs/index.ts";
import { heading, Pinned, rows, sparkline } from "./pinned.ts";
import { count, duration } from "./print.ts";

/** What a run has taken so far. */
export const spentInWords = (r: Pick<StepRecord, "tokens" | "seconds" | "usd" | "joules">): string =>
  `${duration(r.seconds ?? 0)}   ${count(r.tokens)} tokens   ${dollars(r.usd ?? 0)}   ${((r.joules ?? 0) / 3.6e6).toFixed(3)} kWh`;

/** Figures of the last step, drawn in place on a terminal, and as a line every ten seconds elsewhere. */
export class TrainView {
  #losses: number[] = [];
  #heldout: number | undefined;
  #busiest: number | undefined;
  readonly #pinned = new Pinned();

  constructor(
    readonly title: string,
    readonly web: string | undefined,
  ) {}

  step(record: StepRecord): void {
    this.#losses.push(record.loss);
    this.#pinned.show(
      () => this.#figures(record),
      () => this.#line(record),
      record.step === record.steps,
    );
  }

  evaluated(loss: number): void {
    this.#heldout = loss;
  }

  load(busiest: number): void {
    this.#busiest = busiest;
  }

  /** Prints a line that stays, above the figures. */
  note(text: string): void {
    this.#pinned.note(text);
  }

  end(): void {
    this.#pinned.end();
  }

  #figures(r: StepRecord): string[] {
    return [
      heading(this.title, r),
      ...rows([
        [
          "loss",
          `${pc.bold(r.loss.toFixed(4))}${this.#heldout === undefined ? "" : `   held-out ${this.#heldout.toFixed(4)}`}   ${pc.cyan(sparkline(this.#losses, 40))}`,
        ],
        [
          "speed",
          `${count(r.tokensPerSecond ?? 0)} tokens/s   ${((r.gemmShare ?? 0) * 100).toFixed(0)} % of the f32 GEMM peak   step ${((r.stepSeconds ?? 0) * 1000).toFixed(0)} ms`,
        ],
        [
          "state",
          `lr ${(r.lr ?? 0).toExponential(2)}   gradient norm ${(r.gradNorm ?? 0).toFixed(2)}   batch ${r.batch}${this.#busiest === undefined ? "" : `   busiest expert ${this.#busiest.toFixed(2)}×`}`,
        ],
        ["spent", spentInWords(r)],
      ]),
      ...(this.web ? [pc.dim(`  live at ${this.web}   Ctrl-C saves and ends`)] : []),
    ];
  }

  #line(r: StepRecord): string {
    return `step ${r.step}/${r.steps}  loss ${r.loss.toFixed(4)}${this.#heldout === undefined ? "" : `  held-out ${this.#heldout.toFixed(4)}`}  ${count(r.tokensPerSecond ?? 0)} tokens/s  ${((r.gemmShare ?? 0) * 100).toFixed(0)} % of peak  ${duration(r.etaSeconds ?? 0)} left`;
  }
}
