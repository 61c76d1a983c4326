/** Somebody else's code run with a time limit. */
import { Script } from "node:vm";
import { DataError } from "../errors.ts";

/** Work that was ended for taking too long. */
export class InterruptedError extends DataError {}

/** Calls what it finds under its name; the engine ends a script that runs too long wherever it is, in an expression or a loop. */
const call = new Script("globalThis.sumbiWithin()");

/**
 * Runs `work` in this thread for at most so long. Costs about 0.1 ms. Throws what it throws, or InterruptedError:
 * what it was changing is then half done.
 */
export function within<T>(millis: number, what: string, work: () => T): T {
  const slot = globalThis as { sumbiWithin?: () => unknown };
  const outer = slot.sumbiWithin;
  slot.sumbiWithin = work;
  try {
    return call.runInThisContext({ timeout: millis }) as T;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_SCRIPT_EXECUTION_TIMEOUT") throw error;
    throw new InterruptedError(`${what}: ended, since it ran longer than ${Math.round(millis / 100) / 10} s`, {
      cause: error,
    });
  } finally {
    slot.sumbiWithin = outer;
  }
}
