/** A conversation as a tree: the branch on show, its versions, and what changes it. Pure: conversations go in and new ones come out. */
import type { Answer, Conversation, Turn } from "./types.ts";

/** A turn with the answer of it that a branch goes through; none where it was just asked. */
export interface Step {
  turn: Turn;
  answer?: Answer;
}

const keyOf = (after: string | null): string => after ?? "";

/** The turns that follow an answer, or begin the conversation (null): the versions of one question, oldest first. */
export const turnsAfter = (conversation: Conversation, after: string | null): Turn[] =>
  conversation.turns.filter((turn) => turn.after === after);

/** The turns on show, from the first. A chat from a file may hold circles: no turn comes twice. */
export function branchOf(conversation: Conversation): Turn[] {
  const following = new Map<string, Turn[]>();
  for (const turn of conversation.turns) {
    const key = keyOf(turn.after);
    following.set(key, [...(following.get(key) ?? []), turn]);
  }
  const branch: Turn[] = [];
  let key: string | undefined = "";
  while (key !== undefined) {
    const versions: Turn[] = following.get(key) ?? [];
    const wanted: string | undefined = conversation.picked[key];
    const turn: Turn | undefined = versions.find(({ id }) => id === wanted) ?? versions.at(-1);
    if (!turn || branch.includes(turn)) break;
    branch.push(turn);
    key = turn.answers[turn.shown]?.id;
  }
  return branch;
}

/** What leads up to a turn, whichever branch is on show: turns with their answers, oldest first, without the turn itself. */
export function stepsBefore(conversation: Conversation, turnId: string): Step[] {
  const owner = new Map(
    conversation.turns.flatMap((turn) => turn.answers.map((answer) => [answer.id, { turn, answer }])),
  );
  const steps: Step[] = [];
  let after = conversation.turns.find((turn) => turn.id === turnId)?.after ?? null;
  while (after !== null) {
    const step = owner.get(after);
    if (!step || steps.includes(step)) break;
    steps.unshift(step);
    after = step.turn.after;
  }
  return steps;
}

/** The answer that a conversation's branch ends with. */
export function lastAnswer(conversation: Conversation): Answer | undefined {
  const last = branchOf(conversation).at(-1);
  return last?.answers[last.shown];
}

export const findAnswer = (conversation: Conversation, answerId: string): Answer | undefined =>
  conversation.turns.flatMap(({ answers }) => answers).find(({ id }) => id === answerId);

/** Adds a question after an answer (null: at the beginning), and shows it. */
export function withTurn(conversation: Conversation, turn: Turn): Conversation {
  const { [keyOf(turn.after)]: _, ...picked } = conversation.picked;
  return { ...conversation, turns: [...conversation.turns, turn], picked };
}

/** Adds an answer to a turn, and shows it. */
export const withAnswer = (conversation: Conversation, turnId: string, answer: Answer): Conversation =>
  changeTurn(conversation, turnId, (turn) => ({
    ...turn,
    answers: [...turn.answers, answer],
    shown: turn.answers.length,
  }));

/** Puts an answer in the place of the one with its id. */
export const changeAnswer = (conversation: Conversation, answer: Answer): Conversation => ({
  ...conversation,
  turns: conversation.turns.map((turn) =>
    turn.answers.some(({ id }) => id === answer.id)
      ? { ...turn, answers: turn.answers.map((a) => (a.id === answer.id ? answer : a)) }
      : turn,
  ),
});

/** Shows the answer with an index, or the nearest that there is. */
export const showAnswer = (conversation: Conversation, turnId: string, index: number): Conversation =>
  changeTurn(conversation, turnId, (turn) => ({ ...turn, shown: within(index, turn.answers.length) }));

/** Shows another version of a turn's question, by its index among them, or the nearest that there is. */
export function showVersion(conversation: Conversation, turnId: string, index: number): Conversation {
  const after = conversation.turns.find((turn) => turn.id === turnId)?.after ?? null;
  const versions = turnsAfter(conversation, after);
  const chosen = versions[within(index, versions.length)];
  return chosen ? { ...conversation, picked: { ...conversation.picked, [keyOf(after)]: chosen.id } } : conversation;
}

function changeTurn(conversation: Conversation, turnId: string, change: (turn: Turn) => Turn): Conversation {
  return { ...conversation, turns: conversation.turns.map((turn) => (turn.id === turnId ? change(turn) : turn)) };
}

const within = (index: number, count: number): number => Math.max(0, Math.min(count - 1, index));
