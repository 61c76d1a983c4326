/** Ctrl-C and its kin: one request to end in good order, a second one to end at once. */
import { StopError } from "../errors.ts";

export interface Stop {
  signal: AbortSignal;
  /** Gives the signals back to the system. */
  end(): void;
}

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"] as const;
/** npx passes on to its child the Ctrl-C that the terminal has sent it already: both within a moment are one. */
const SAME_MS = 1_000;

/**
 * Turns SIGINT, SIGTERM, SIGHUP (the terminal was closed) and Windows' Ctrl-Break, or a reader of stdout that went away, into an abort
 * with a StopError. `saying` is told then on stderr. Only a second Ctrl-C ends the process at once: others come in pairs by themselves.
 */
export function listenForStop(saying: () => string): Stop {
  const controller = new AbortController();
  let askedAt = 0;
  let hungUp = false;
  const ask = () => {
    askedAt = performance.now();
    process.stderr.write(`\n${saying()}\n`);
    controller.abort(new StopError("stopped"));
  };
  const onSignal = (name: NodeJS.Signals) => {
    hungUp ||= name === "SIGHUP";
    if (!controller.signal.aborted) ask();
    else if (["SIGINT", "SIGBREAK"].includes(name) && performance.now() - askedAt > SAME_MS) process.exit(130);
  };
  const onPipe = () => {
    if (!controller.signal.aborted) ask();
  };
  // A terminal that was closed takes no more words; that must not end what is being saved. At the end Node would want to reset that
  // terminal and abort: the hang-up itself ends the process before.
  const onMute = () => {
    if (hungUp) process.once("exit", () => process.kill(process.pid, "SIGHUP"));
    hungUp = false;
  };
  for (const name of SIGNALS) process.on(name, onSignal);
  process.stdout.on("error", onPipe);
  process.stderr.on("error", onMute);
  return {
    signal: controller.signal,
    end() {
      for (const name of SIGNALS) process.off(name, onSignal);
      // The streams' listeners stay: what is still to be said may fail as well.
    },
  };
}
