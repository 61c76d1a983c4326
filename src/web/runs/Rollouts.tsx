/** Answers side by side, early against late: those that were drawn to learn from, and those to the same test questions. */
import { useEffect, useState } from "preact/hooks";
import type { RolloutStep } from "../../runs/index.ts";
import { getJson } from "../net/api.ts";
import { splitThought } from "../text/think.ts";
import type { RunLog } from "./log.ts";

/** An answer as it is shown. */
interface Shown {
  text: string;
  reward?: number;
  tokens?: number;
  /** The prompt ended within an open thought. */
  opened?: boolean;
}

interface Problem {
  prompt: string;
  reference?: string;
  answers: Shown[];
}

interface Step {
  step: number;
  problems: Problem[];
}

/** Rollouts of the steps that were kept; asked for anew whenever tests were taken, which is when some are kept. */
export function Rollouts({ id, log }: { id: string; log: RunLog }) {
  const [steps, setSteps] = useState<Step[] | null>(null);
  const [message, setMessage] = useState<string | null>(null);
  useEffect(() => {
    const abort = new AbortController();
    getJson<RolloutStep[]>(`/api/runs/${encodeURIComponent(id)}/rollouts`, abort.signal).then(
      (found) => (setSteps(found), setMessage(null)),
      (error) => abort.signal.aborted || setMessage(error instanceof Error ? error.message : String(error)),
    );
    return () => abort.abort();
  }, [id, log.scores.length, log.end]);
  if (message) return <p class="notice bad">{message}</p>;
  if (!steps) return <p class="faint">Reading…</p>;
  return <EarlyLate name="Rollouts" steps={steps} none="No answers are kept yet; some are whenever tests are taken." />;
}

/** What was said to the same test questions, greedily. */
export function TestAnswers({ log }: { log: RunLog }) {
  const steps: Step[] = [];
  for (const { step, prompt, text } of log.samples) {
    if (steps.at(-1)?.step !== step) steps.push({ step, problems: [] });
    steps.at(-1)!.problems.push({ prompt, answers: [{ text }] });
  }
  return <EarlyLate name="Test answers" steps={steps} none="No tests were taken yet." />;
}

/** Two steps of a run beside each other: the first and the newest, unless the reader chose others. */
function EarlyLate({ name, steps, none }: { name: string; steps: Step[]; none: string }) {
  const [early, setEarly] = useState<number | null>(null);
  const [late, setLate] = useState<number | null>(null);
  if (steps.length === 0) return <p class="faint">{none}</p>;
  const of = (step: number | null) => steps.find((one) => one.step === step);
  const sides = [
    { side: "early", shown: of(early) ?? steps[0]!, choose: setEarly },
    { side: "late", shown: of(late) ?? steps.at(-1)!, choose: setLate },
  ];
  return (
    <div class="early-late">
      {sides.map(({ side, shown, choose }) => (
        <section key={side} aria-label={`${name}, ${side}`}>
          <label class="row">
            {side}: after step{" "}
            <select value={shown.step} onChange={(event) => choose(Number(event.currentTarget.value))}>
              {steps.map(({ step }) => (
                <option key={step} value={step}>
                  {step.toLocaleString("en-US")}
                </option>
              ))}
            </select>
          </label>
          {shown.problems.map((problem, i) => (
            <div key={`${shown.step} ${i}`} class="problem">
              <p class="sample">
                <span class="prompt">{problem.prompt}</span>
                {problem.reference && <span class="faint"> → {problem.reference}</span>}
              </p>
              {problem.answers.map((answer, j) => (
                <AnswerText key={j} answer={answer} />
              ))}
            </div>
          ))}
        </section>
      ))}
    </div>
  );
}

/** One answer as text, its thought folded. Nothing in it is markup. */
function AnswerText({ answer: { text, reward, tokens, opened } }: { answer: Shown }) {
  const { thought, text: said } = splitThought(opened ? `<think>${text}` : text);
  return (
    <div class="sample answer-text">
      {thought !== "" && (
        <details>
          <summary>thought, {thought.length.toLocaleString("en-US")} characters</summary>
          {thought}
        </details>
      )}
      {said.trim() === "" ? <i class="faint">no answer</i> : said.trim()}
      {reward !== undefined && (
        <span class="reward">
          reward {Number(reward.toFixed(3))}
          {tokens !== undefined && ` · ${tokens.toLocaleString("en-US")} tokens`}
        </span>
      )}
    </div>
  );
}
