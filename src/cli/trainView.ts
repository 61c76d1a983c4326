/** A training run in the terminal: its line, its curve, its samples. */
import pc from "picocolors";
import { dollars } from "../format.ts";
import type { StepRecord } from "../runs/index.ts";
import { count, duration } from "./print.ts";

const BARS = "▁▂▃▄▅▆▇█";

/** The last values as a line of bars, scaled to their own range. */
export function sparkline(values: readonly number[], width: number): string {
  const shown =
    values.length <= width
      ? values
      : Array.from({ length: width }, (_, i) => values[Math.floor((i * values.length) / width)]!);
  const low = Math.min(...shown);
  const high = Math.max(...shown);
  return shown.map((v) => BARS[Math.min(7, Math.floor(((v - low) / (high - low || 1)) * 8))]).join("");
}

/** Figures of the last step, drawn in place on a terminal, and as a line every ten seconds elsewhere. */
export class TrainView {
  #losses: number[] = [];
  #heldout: number | undefined;
  #busiest: number | undefined;
  #lines = 0;
  #drawn = 0;
  readonly #tty = process.stderr.isTTY === true;

  constructor(
    readonly title: string,
    readonly web: string | undefined,
  ) {}

  step(record: StepRecord): void {
    this.#losses.push(record.loss);
    const now = Date.now();
    if (now - this.#drawn < (this.#tty ? 250 : 10_000) && record.step !== record.steps) return;
    this.#drawn = now;
    this.#tty ? this.#draw(record) : this.#line(record);
  }

  evaluated(loss: number): void {
    this.#heldout = loss;
  }

  load(busiest: number): void {
    this.#busiest = busiest;
  }

  /** Prints a line that stays, above the figures. */
  note(text: string): void {
    this.#erase();
    process.stderr.write(`${text}\n`);
  }

  end(): void {
    this.#lines = 0;
  }

  #erase(): void {
    if (this.#lines > 0) process.stderr.write(`\x1b[${this.#lines}A\x1b[0J`);
    this.#lines = 0;
  }

  #draw(r: StepRecord): void {
    this.#erase();
    const share = r.step / r.steps;
    const filled = Math.round(share * 40);
    const pairs: [string, string][] = [
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
      [
        "spent",
        `${duration(r.seconds ?? 0)}   ${count(r.tokens)} tokens   ${dollars(r.usd ?? 0)}   ${((r.joules ?? 0) / 3.6e6).toFixed(3)} kWh`,
      ],
    ];
    const lines = [
      `${pc.bold(this.title)}  ${pc.green("█".repeat(filled))}${pc.dim("░".repeat(40 - filled))} ${(share * 100).toFixed(1)} %  step ${r.step}/${r.steps}  ${duration(r.etaSeconds ?? 0)} left`,
      ...pairs.map(([name, text]) => `  ${pc.dim(name.padEnd(6))}${text}`),
      ...(this.web ? [pc.dim(`  live at ${this.web}   Ctrl-C saves and ends`)] : []),
    ];
    process.stderr.write(`${lines.join("\n")}\n`);
    this.#lines = lines.length;
  }

  #line(r: StepRecord): void {
    process.stderr.write(
      `step ${r.step}/${r.steps}  loss ${r.loss.toFixed(4)}${this.#heldout === undefined ? "" : `  held-out ${this.#heldout.toFixed(4)}`}  ${count(r.tokensPerSecond ?? 0)} tokens/s  ${((r.gemmShare ?? 0) * 100).toFixed(0)} % of peak  ${duration(r.etaSeconds ?? 0)} left\n`,
    );
  }
}
