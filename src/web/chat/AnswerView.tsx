/** An answer: thought, text, figures, what can be done with it, and why there is none. */
import { useState } from "preact/hooks";
import { Markdown } from "../text/Markdown.tsx";
import { Icon } from "../ui/icons.tsx";
import { CopyButton, IconButton } from "../ui/parts.tsx";
import { words } from "../words/index.ts";
import { askAgain, goOn, rewrite } from "./answering.ts";
import { update } from "./chats.ts";
import { answerFigures } from "./figures.ts";
import { isGrowing, partsOf } from "./parts.ts";
import { Rewrite } from "./Rewrite.tsx";
import { Thought } from "./Thought.tsx";
import { showAnswer } from "./tree.ts";
import type { TurnProps } from "./turnProps.ts";
import type { Answer } from "./types.ts";
import { Versions } from "./Versions.tsx";

type Props = TurnProps & { answer: Answer };

export function AnswerView(props: Props) {
  const { conversationId, turn, last, answer } = props;
  const [changing, setChanging] = useState(false);
  const parts = partsOf(answer);
  const growing = isGrowing(answer);
  const figures = answerFigures(answer);
  const keep = (text: string, further: boolean) => {
    setChanging(false);
    rewrite(conversationId, turn.id, answer, text, further);
  };
  return (
    <article class="answer" aria-label={words.turn.answer} aria-busy={growing}>
      {answer.dropped !== undefined && <p class="remark">{words.turn.dropped(answer.dropped)}</p>}
      {(parts.thought || parts.thinking) && (
        <Thought thought={parts.thought} thinking={parts.thinking} answer={answer} />
      )}
      {changing ? (
        <Rewrite
          class="of-answer"
          text={parts.text}
          label={words.turn.changeAnswer}
          action={words.turn.keepAnswer}
          enterEnds={false}
          onCancel={() => setChanging(false)}
          onDone={(text) => keep(text, false)}
          more={(text) => (
            <button type="button" class="quiet" disabled={!text.trim()} onClick={() => keep(text, true)}>
              {words.turn.keepAndGoOn}
            </button>
          )}
        />
      ) : (
        parts.text && <Markdown text={parts.text} growing={growing} />
      )}
      {growing && !parts.text && !parts.thinking && (
        <div class="waiting" aria-hidden="true">
          <i />
          <i />
          <i />
        </div>
      )}
      {answer.status === "failed" && <Failure {...props} />}
      {answer.status === "done" && answer.finish === "length" && <CutOff {...props} />}
      {answer.status === "done" && !parts.text && !parts.thought && <p class="remark">{words.turn.empty}</p>}
      {!growing && answer.status !== "failed" && !parts.text && !last && <p class="remark">{words.turn.leftOut}</p>}
      {growing && figures && <div class="tools figures-now">{figures.short}</div>}
      {!growing && !changing && (
        <div class="tools">
          <Versions
            at={turn.shown}
            of={turn.answers.length}
            words={{
              before: words.turn.answerBefore,
              next: words.turn.answerNext,
              place: words.turn.answerVersion,
            }}
            onShow={(index) => update(conversationId, (c) => showAnswer(c, turn.id, index))}
          />
          <CopyButton text={() => parts.text || parts.thought} label={words.turn.copyAnswer} />
          {parts.text && (
            <IconButton icon="edit" label={words.turn.changeAnswer} size={16} onClick={() => setChanging(true)} />
          )}
          <IconButton
            icon="redo"
            label={words.turn.answerAgain}
            size={16}
            onClick={() => askAgain(conversationId, turn.id)}
          />
          {canGoOn(props) && (
            <IconButton
              icon="forward"
              label={words.turn.goOn}
              size={16}
              onClick={() => goOn(conversationId, turn.id, answer.id)}
            />
          )}
          {(figures || answer.edited) && (
            <span class="figures" title={figures?.long}>
              {[
                answer.edited && words.figures.edited,
                answer.status === "stopped" && words.figures.stopped,
                figures?.short,
              ]
                .filter(Boolean)
                .join(" · ")}
            </span>
          )}
        </div>
      )}
    </article>
  );
}

/** Whether an answer may be more than it is: one that was stopped, broke off or was cut off, and that nothing follows. */
function canGoOn({ answer, last }: Props): boolean {
  const { raw, reasoning, status, finish, contextFull, edited } = answer;
  const open =
    status === "stopped" || status === "failed" || finish === "length" || (edited === true && finish === undefined);
  return last && open && contextFull !== true && raw + reasoning !== "";
}

function CutOff(props: Props) {
  const { answer, conversationId, turn, onSettings, onNew } = props;
  const full = answer.contextFull === true;
  return (
    <p class="remark">
      {full ? words.turn.cutOffFull : words.turn.cutOff}{" "}
      {canGoOn(props) && (
        <>
          <button type="button" class="link" onClick={() => goOn(conversationId, turn.id, answer.id)}>
            {words.turn.goOn}
          </button>
          {" · "}
        </>
      )}
      <button type="button" class="link" onClick={full ? onNew : onSettings}>
        {full ? words.chat.newChat : words.turn.allowMore}
      </button>
    </p>
  );
}

/** Why there is no answer, and what to do. A first question is too long by itself: there is no conversation to shorten. */
function Failure({ conversationId, turn, first, last, answer, onNew }: Props) {
  const kind = answer.fault?.kind ?? "server";
  const { advice, tooLong, tooLongFirst, tryAgain } = words.turn;
  const long = kind === "context";
  return (
    <div class="failure" role="alert" data-kind={kind}>
      <Icon name="warn" />
      <div>
        <strong>{long ? (first ? tooLongFirst : tooLong) : answer.fault?.message}</strong>
        <p>
          {long && first ? advice.contextFirst : advice[kind]} {long && <small>{answer.fault?.message}</small>}
        </p>
        <div class="row">
          {last && (
            <button type="button" class="quiet" onClick={() => askAgain(conversationId, turn.id)}>
              {tryAgain}
            </button>
          )}
          {long && !first && (
            <button type="button" class="quiet" onClick={onNew}>
              {words.chat.newChat}
            </button>
          )}
        </div>
      </div>
    </div>
  );
}
