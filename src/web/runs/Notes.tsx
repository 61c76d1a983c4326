/** A run's events, what they advise, and its samples. */
import { useState } from "preact/hooks";
import type { RunLog } from "./log.ts";

/** Newest first; of a checkpoint that is written over and over, only the last time. */
function withoutOldSaves(notes: RunLog["notes"]): RunLog["notes"] {
  const seen = new Set<string>();
  return [...notes]
    .reverse()
    .filter((note) => note.type !== "checkpoint" || (!seen.has(note.path) && seen.add(note.path)));
}

/** Events, checkpoints and ends, newest first. */
export function Notes({ log }: { log: RunLog }) {
  if (log.notes.length === 0) return <p class="faint">Nothing happened yet but learning.</p>;
  return (
    <ol class="notes" tabIndex={0} aria-label="Events, newest first">
      {withoutOldSaves(log.notes).map((note, i) => {
        const level =
          note.type === "event" ? note.level : note.type === "end" && note.reason === "failed" ? "error" : "info";
        const text =
          note.type === "event"
            ? note.message
            : note.type === "checkpoint"
              ? `Saved ${note.path}`
              : `Ended: ${note.reason}`;
        return (
          <li key={i} class={level}>
            <span class="at">{note.step.toLocaleString("en-US")}</span>
            <span>
              {level !== "info" && <b>{level === "warn" ? "Warning: " : "Error: "}</b>}
              {text}
            </span>
          </li>
        );
      })}
    </ol>
  );
}

/** What the diagnosis found, the newest of each topic: what it is and what to do. */
export function Advice({ log }: { log: RunLog }) {
  const newest = new Map<string, { step: number; message: string }>();
  for (const note of log.notes) if (note.type === "event" && note.topic) newest.set(note.topic, note);
  if (newest.size === 0) return null;
  return (
    <section class="advice" aria-label="What goes wrong">
      {[...newest].map(([topic, { step, message }]) => (
        <p key={topic} class="notice">
          <b>Step {step.toLocaleString("en-US")}:</b> {message}
        </p>
      ))}
    </section>
  );
}

/** Samples of the newest step; a slider goes back to earlier ones. */
export function Samples({ log }: { log: RunLog }) {
  const [chosen, setChosen] = useState<number | null>(null);
  const steps = [...new Set(log.samples.map((s) => s.step))];
  if (steps.length === 0) return <p class="faint">No samples yet.</p>;
  const at = chosen ?? steps.length - 1;
  return (
    <div>
      {steps.length > 1 && (
        <div class="heat-line">
          <input
            type="range"
            aria-label="Which samples"
            aria-valuetext={`step ${steps[at]}`}
            min={0}
            max={steps.length - 1}
            value={at}
            onInput={(event) => {
              const next = Number(event.currentTarget.value);
              setChosen(next >= steps.length - 1 ? null : next);
            }}
          />
          <output>step {steps[at]?.toLocaleString("en-US")}</output>
        </div>
      )}
      <div class="samples" tabIndex={0} role="group" aria-label="Samples">
        {log.samples
          .filter((s) => s.step === steps[at])
          .map((sample, i) => (
            <p key={i} class="sample">
              <span class="prompt">{sample.prompt}</span>
              {sample.text}
            </p>
          ))}
      </div>
    </div>
  );
}
