/** Lines at the end of a terminal that are drawn again in place, below what is said and stays. */
import pc from "picocolors";
import { duration } from "./print.ts";

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

/** How far a run is: its title, a bar, step and time left. */
export function heading(title: string, at: { step: number; steps: number; etaSeconds?: number }): string {
  const share = at.step / at.steps;
  const filled = Math.round(share * 40);
  return `${pc.bold(title)}  ${pc.green("█".repeat(filled))}${pc.dim("░".repeat(40 - filled))} ${(share * 100).toFixed(1)} %  step ${at.step}/${at.steps}  ${duration(at.etaSeconds ?? 0)} left`;
}

/** Figures below a heading, each row with its name. */
export const rows = (pairs: readonly (readonly [name: string, text: string])[]): string[] =>
  pairs.map(([name, text]) => `  ${pc.dim(name.padEnd(6))} ${text}`);

/** On a terminal the lines are drawn again four times a second at most; elsewhere `line` is printed now and then. */
export class Pinned {
  #lines = 0;
  #drawn = 0;
  readonly #tty = process.stderr.isTTY === true;

  /** `quietMs`: between two lines where there is no terminal. */
  constructor(readonly quietMs = 10_000) {}

  /** `last`: whatever the time, since nothing comes after. */
  show(lines: () => readonly string[], line: () => string, last: boolean): void {
    const now = Date.now();
    if (now - this.#drawn < (this.#tty ? 250 : this.quietMs) && !last) return;
    this.#drawn = now;
    if (!this.#tty) return void process.stderr.write(`${line()}\n`);
    this.#erase();
    const drawn = lines();
    process.stderr.write(`${drawn.join("\n")}\n`);
    this.#lines = drawn.length;
  }

  /** Prints a line that stays, above the figures. */
  note(text: string): void {
    this.#erase();
    process.stderr.write(`${text}\n`);
  }

  /** Leaves what is drawn where it is. */
  end(): void {
    this.#lines = 0;
  }

  #erase(): void {
    if (this.#lines > 0) process.stderr.write(`\x1b[${this.#lines}A\x1b[0J`);
    this.#lines = 0;
  }
}
