/** What a run remembers besides the parameters and moments. Plain JSON, exact. */
import { z } from "zod";

const whole = z.number().int().nonnegative();

export const progressSchema = z.object({
  step: whole,
  tokens: whole,
  /** Number of the next training sequence; ahead of tokens/sequence when batches were skipped. */
  sequences: whole,
  /** Moving average of the loss; 0 before the first step. */
  averageLoss: z.number(),
  /** Moving average of its squared deviation. */
  lossVariance: z.number().nonnegative(),
  /** Losses in a row that were far over it. */
  spikes: whole,
  rollbacks: whole,
  /** Seconds of training so far, over all sessions. */
  seconds: z.number().nonnegative(),
  balance: z.object({ updates: whole, average: z.array(z.array(z.number())) }),
});
export type Progress = z.infer<typeof progressSchema>;
