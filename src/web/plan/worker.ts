/** The worker in which the pages' planner runs. */
import { z } from "zod";
import { ask, catalogue, phases, points, report, timeline } from "./answer.ts";
import { plainly } from "./form.ts";
import type { Reply, Request } from "./messages.ts";
import { FormError, fieldOf } from "./question.ts";

// The pages' policy forbids making code from text, which zod would otherwise try.
z.config({ jitless: true });

const post = (reply: Reply) => postMessage(reply);

/** One request at a time; what is quick to know is sent first. */
addEventListener("message", ({ data }: MessageEvent<Request>) => {
  const { id } = data;
  try {
    if (data.kind === "catalogue") post({ id, kind: "catalogue", catalogue: catalogue() });
    else if (data.kind === "phases")
      post({
        id,
        kind: "phases",
        phases: phases(data.form, data.gpus, (done, total, note) => post({ id, kind: "progress", done, total, note })),
      });
    else if (data.kind === "audit") post({ id, kind: "audit", report: report(data.claim) });
    else {
      const answer = ask(data.form);
      post({ id, kind: "answer", answer });
      post({ id, kind: "timeline", drawn: timeline(answer) });
      for (const some of points(answer)) post({ id, kind: "points", ...some });
    }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const form = data.kind === "plan" || data.kind === "phases" ? data.form : undefined;
    post({
      id,
      kind: "faults",
      faults: error instanceof FormError ? error.faults : [{ field: fieldOf(error, form), message: plainly(message) }],
    });
  }
  post({ id, kind: "done" });
});
