/** One question and the answer on show. */
import { useMemo } from "preact/hooks";
import { AnswerView } from "./AnswerView.tsx";
import { Question } from "./Question.tsx";
import type { TurnProps } from "./turnProps.ts";

/** A question and its answer. Drawn again only when it changes itself, however long the conversation around it is. */
export function TurnView(props: TurnProps) {
  const { conversationId, turn, version, versions, first, last } = props;
  const answer = turn.answers[turn.shown];
  return useMemo(
    () => (
      <section class="turn">
        <Question {...props} />
        {answer && <AnswerView key={answer.id} {...props} answer={answer} />}
      </section>
    ),
    [turn, version, versions, first, last, conversationId],
  );
}
