/** What every verb prints alike: errors, commands to copy, one line of progress. */
import pc from "picocolors";
import { count, duration } from "../format.ts";
import type { OnProgress } from "../progress.ts";

export { bytes, count, duration } from "../format.ts";

/** One line on stderr, without a stack. */
export function printError(message: string): void {
  process.stderr.write(`${pc.red("error:")} ${message}\n`);
}

const PLAIN = /^[\w@%+=:,./-]+$/;

/** A command to be copied into a shell: every argument is one word there and nothing else, whatever is in it. */
export function shellCommand(...args: string[]): string {
  const quote = (arg: string) => {
    if (PLAIN.test(arg)) return arg;
    return process.platform === "win32" ? `"${arg.replaceAll('"', '""')}"` : `'${arg.replaceAll("'", "'\\''")}'`;
  };
  return ["npx", "sumbi", ...args.map(quote)].join(" ");
}

/** A progress line with an ETA on stderr: redrawn in place on a terminal, one line every ten seconds otherwise. */
export function progressLine(): OnProgress & { end(): void } {
  const tty = process.stderr.isTTY === true;
  let label = "";
  let started = Date.now();
  let drawn = 0;
  let full = false;
  const draw: OnProgress = (p) => {
    const now = Date.now();
    if (p.label !== label) {
      if (label !== "" && tty && drawn > 0) process.stderr.write("\n");
      label = p.label;
      started = now;
      drawn = 0;
      full = false;
    }
    const last = p.total > 0 && p.done >= p.total && !full;
    if (now - drawn < (tty ? 100 : 10_000) && !(last && (tty || drawn > 0))) return;
    if (drawn === 0 && !tty && now - started < 2_000) return;
    drawn = now;
    full ||= last;
    const seconds = (now - started) / 1000;
    const share = p.total > 0 ? p.done / p.total : 0;
    const eta = share > 0 && share < 1 ? ` · ${duration((seconds * (1 - share)) / share)} left` : "";
    const bar =
      p.total > 0
        ? `${"█".repeat(Math.round(share * 24)).padEnd(24, "░")} ${(share * 100).toFixed(0).padStart(3)}% `
        : "";
    const figures = p.total > 0 ? `${count(p.done)}/${count(p.total)}` : count(p.done);
    const line = `${p.label} ${bar}${figures} ${p.unit}${p.note ? ` · ${p.note}` : ""}${eta}`;
    process.stderr.write(tty ? `\r\x1b[2K${line}` : `${line}\n`);
  };
  return Object.assign(draw, {
    end() {
      if (tty && drawn > 0) process.stderr.write("\n");
      label = "";
      drawn = 0;
    },
  });
}

/** Text of a model for a terminal: no control characters, which could move the cursor or change the terminal's state. */
export const harmless = (text: string): string => text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "");
