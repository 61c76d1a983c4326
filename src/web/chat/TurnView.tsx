/** One question and its answers: edit, retry, copy, figures, failures. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { Markdown } from "../text/Markdown.tsx";
import { Icon } from "../ui/icons.tsx";
import { CopyButton, IconButton } from "../ui/parts.tsx";
import { answerFigures } from "./figures.ts";
import { askAgain, partsOf, show } from "./state.ts";
import { Thought } from "./Thought.tsx";
import type { Answer, Turn } from "./types.ts";

interface Props {
  conversationId: string;
  turn: Turn;
  last: boolean;
  onSettings: () => void;
  onNew: () => void;
}

/** A question and its answer. Drawn again only when it changes itself, however long the conversation around it is. */
export function TurnView(props: Props) {
  const { conversationId, turn, last } = props;
  return useMemo(
    () => (
      <section class="turn">
        <Question conversationId={conversationId} turn={turn} last={last} />
        {turn.answers[turn.shown] && <AnswerView {...props} answer={turn.answers[turn.shown]!} />}
      </section>
    ),
    [turn, last, conversationId],
  );
}

function Question({ conversationId, turn, last }: { conversationId: string; turn: Turn; last: boolean }) {
  const [editing, setEditing] = useState<string | null>(null);
  const area = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    if (editing === null || !area.current) return;
    area.current.focus();
    area.current.setSelectionRange(editing.length, editing.length);
  }, [editing === null]);
  const submit = () => {
    const text = editing?.trim();
    if (!text) return;
    setEditing(null);
    askAgain(conversationId, turn.id, text);
  };
  if (editing !== null) {
    return (
      <form
        class="question-edit"
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
      >
        <textarea
          ref={area}
          aria-label="Change the question"
          rows={Math.min(12, editing.split("\n").length + 1)}
          value={editing}
          onInput={(event) => setEditing(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Escape") {
              event.stopPropagation();
              setEditing(null);
            } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
              event.preventDefault();
              submit();
            }
          }}
        />
        <div class="row end">
          {!last && <small class="faint">What was said after it will go.</small>}
          <button type="button" class="quiet" onClick={() => setEditing(null)}>
            Cancel
          </button>
          <button type="submit" class="primary" disabled={!editing.trim()}>
            Ask again
          </button>
        </div>
      </form>
    );
  }
  return (
    <div class="question">
      <h2 class="off-screen">You asked</h2>
      <div class="bubble">{turn.question}</div>
      <div class="tools">
        <IconButton icon="edit" label="Change the question" size={16} onClick={() => setEditing(turn.question)} />
        <CopyButton text={() => turn.question} label="Copy the question" />
      </div>
    </div>
  );
}

function AnswerView({ conversationId, turn, last, answer, onSettings, onNew }: Props & { answer: Answer }) {
  const parts = partsOf(answer);
  const growing = answer.status === "waiting" || answer.status === "streaming";
  const figures = answerFigures(answer);
  return (
    <article class="answer" aria-label="Answer" aria-busy={growing}>
      {answer.dropped !== undefined && (
        <p class="remark">
          The model's context is full: the{" "}
          {answer.dropped === 1 ? "oldest message was" : `${answer.dropped} oldest messages were`} left out of what it
          read.
        </p>
      )}
      {(parts.thought || parts.thinking) && (
        <Thought thought={parts.thought} thinking={parts.thinking} answer={answer} />
      )}
      {parts.text && <Markdown text={parts.text} growing={growing} />}
      {growing && !parts.text && !parts.thinking && (
        <div class="waiting" aria-hidden="true">
          <i />
          <i />
          <i />
        </div>
      )}
      {answer.status === "failed" && (
        <Failure conversationId={conversationId} turn={turn} last={last} answer={answer} onNew={onNew} />
      )}
      {answer.status === "done" && answer.finish === "length" && (
        <CutOff answer={answer} onSettings={onSettings} onNew={onNew} />
      )}
      {answer.status === "done" && !parts.text && !parts.thought && (
        <p class="remark">The model ended its answer without a word.</p>
      )}
      {!growing && answer.status !== "failed" && !parts.text && !last && (
        <p class="remark">There is no answer, so this turn is left out of what the model reads after it.</p>
      )}
      {growing && figures && <div class="tools figures-now">{figures.short}</div>}
      {!growing && (
        <div class="tools">
          {turn.answers.length > 1 && (
            <span class="versions">
              <IconButton
                icon="left"
                label="The answer before"
                size={16}
                disabled={turn.shown === 0}
                onClick={() => show(conversationId, turn.id, turn.shown - 1)}
              />
              <span role="status" aria-label={`Answer ${turn.shown + 1} of ${turn.answers.length}`}>
                {turn.shown + 1}/{turn.answers.length}
              </span>
              <IconButton
                icon="right"
                label="The next answer"
                size={16}
                disabled={turn.shown === turn.answers.length - 1}
                onClick={() => show(conversationId, turn.id, turn.shown + 1)}
              />
            </span>
          )}
          <CopyButton text={() => parts.text || parts.thought} label="Copy the answer" />
          {last && (
            <IconButton icon="redo" label="Answer again" size={16} onClick={() => askAgain(conversationId, turn.id)} />
          )}
          {figures && (
            <span class="figures" title={figures.long}>
              {answer.status === "stopped" ? "stopped · " : ""}
              {figures.short}
            </span>
          )}
        </div>
      )}
    </article>
  );
}

function CutOff({ answer, onSettings, onNew }: { answer: Answer; onSettings: () => void; onNew: () => void }) {
  const full = answer.contextFull === true;
  return (
    <p class="remark">
      {full ? "Cut off: the model's context is full." : "Cut off at the largest number of tokens."}{" "}
      <button type="button" class="link" onClick={full ? onNew : onSettings}>
        {full ? "New chat" : "Allow more in the settings"}
      </button>
    </p>
  );
}

const ADVICE = {
  "no-model": "Serve one with `sumbi serve MODEL`.",
  unreachable: "Start it again with `sumbi serve`, then try again; nothing is lost.",
  interrupted: "What had arrived is kept above.",
  context: "Start a new chat, ask for fewer tokens in the settings, or shorten the question.",
  key: "Enter the key, then try again.",
  busy: "It is answering others. Try again in a moment.",
  refused: "The server did not accept the request; the settings may hold a value that it does not take.",
  server: "The server's own log says more.",
} as const;

function Failure({
  conversationId,
  turn,
  last,
  answer,
  onNew,
}: {
  conversationId: string;
  turn: Turn;
  last: boolean;
  answer: Answer;
  onNew: () => void;
}) {
  const kind = answer.fault?.kind ?? "server";
  return (
    <div class="failure" role="alert" data-kind={kind}>
      <Icon name="warn" />
      <div>
        <strong>
          {kind === "context" ? "This conversation no longer fits in the model's context." : answer.fault?.message}
        </strong>
        <p>
          {ADVICE[kind]} {kind === "context" && <small>{answer.fault?.message}</small>}
        </p>
        <div class="row">
          {last && (
            <button type="button" class="quiet" onClick={() => askAgain(conversationId, turn.id)}>
              Try again
            </button>
          )}
          {kind === "context" && (
            <button type="button" class="quiet" onClick={onNew}>
              New chat
            </button>
          )}
        </div>
      </div>
    </div>
  );
}
