/** Chats as files, out and in: Markdown for reading, JSON for everything. */
import { newId, readConversation } from "./kept.ts";
import { partsOf } from "./parts.ts";
import { branchOf } from "./tree.ts";
import type { Answer, Attachment, Conversation, Turn } from "./types.ts";

/** What a file could not be read for, in the page's own terms. */
export type FileFault = "not-text" | "not-a-chat";

export class FileError extends Error {
  constructor(readonly fault: FileFault) {
    super(fault);
  }
}

/** Marks of a Markdown file's parts; they are not seen where it is shown. A text that holds one gets a backslash more, which reading takes away. */
const MARK = /^<!-- sumbi:(chat|question|file|thought|answer)(?: (\S+))? -->$/gm;
const marked = (text: string): string => text.replace(/^<!-- (\\*)sumbi:/gm, "<!-- $1\\sumbi:");
const unmarked = (text: string): string => text.replace(/^<!-- (\\*)\\sumbi:/gm, "<!-- $1sumbi:");

/** The branch on show, each part under a heading; the thought is folded where HTML is shown. */
export function toMarkdown(conversation: Conversation): string {
  const part = (mark: string, head: string, text: string, foot = ""): string =>
    `<!-- sumbi:${mark} -->\n${head}\n\n${marked(text)}\n${foot}\n`;
  const parts = [part("chat", `# ${conversation.title}`, new Date(conversation.createdAt).toISOString())];
  for (const turn of branchOf(conversation)) {
    parts.push(part("question", "## Question", turn.question));
    for (const { name, text } of turn.files ?? []) parts.push(part(`file ${encoded(name)}`, `### ${name}`, text));
    const answer = turn.answers[turn.shown];
    if (!answer) continue;
    const { thought, text } = partsOf(answer);
    if (thought) parts.push(part("thought", "<details><summary>Thought</summary>", thought, "\n</details>\n"));
    parts.push(part(answer.model ? `answer ${encoded(answer.model)}` : "answer", "## Answer", text));
  }
  return parts.join("");
}

/** Chats with all their branches, answers and figures. */
export const toJson = (chats: readonly Conversation[]): string =>
  `${JSON.stringify({ format: "sumbi-chats", chats }, null, 1)}\n`;

/** The chats of a file: ours in JSON or Markdown, or a JSON list of OpenAI's messages. Throws FileError. */
export function fromFile(text: string): Conversation[] {
  const chats = /^\s*[[{]/.test(text) ? fromJson(text) : fromMarkdown(text);
  if (chats.length === 0) throw new FileError("not-a-chat");
  return chats;
}

function fromJson(text: string): Conversation[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new FileError("not-a-chat");
  }
  const { chats, messages, title } = (Array.isArray(value) ? { messages: value } : value) as Record<string, unknown>;
  const found = Array.isArray(chats) ? chats.map(readConversation) : [readConversation(value)];
  const talks = found.filter((c) => c !== null);
  if (talks.length > 0 || !Array.isArray(messages)) return talks;
  const said = messages.filter(
    (m): m is { role: string; content: string } => typeof m?.role === "string" && typeof m?.content === "string",
  );
  return chatOf(
    typeof title === "string" ? title : "",
    Date.now(),
    said
      .filter(({ role }) => role === "user" || role === "assistant")
      .map(({ role, content }) =>
        role === "user" ? { question: content } : { answer: content, thought: "", model: "" },
      ),
  );
}

function fromMarkdown(text: string): Conversation[] {
  const whole = text.replaceAll("\r\n", "\n");
  const marks = [...whole.matchAll(MARK)];
  let title = "";
  let createdAt = Date.now();
  let thought = "";
  let files: Attachment[] = [];
  const said: Said[] = [];
  for (const [i, mark] of marks.entries()) {
    const [line, kind, about = ""] = mark;
    const section = whole.slice(mark.index + line.length + 1, marks[i + 1]?.index);
    const [head = ""] = section.split("\n", 1);
    const body = unmarked(
      section.slice(head.length + 2).replace(kind === "thought" ? /\n\n<\/details>\n*$/ : /\n{1,2}$/, ""),
    );
    if (kind === "chat") {
      title = head.replace(/^# /, "");
      createdAt = Date.parse(body.trim()) || createdAt;
    } else if (kind === "question") said.push({ question: body, files: (files = []) });
    else if (kind === "file") files.push({ name: decoded(about), text: body });
    else if (kind === "thought") thought = body;
    else {
      said.push({ answer: body, thought, model: decoded(about) });
      thought = "";
    }
  }
  return chatOf(title, createdAt, said);
}

const encoded = (name: string): string => encodeURIComponent(name.replace(/\p{Surrogate}/gu, "\ufffd"));

function decoded(about: string): string {
  try {
    return decodeURIComponent(about);
  } catch {
    return about;
  }
}

type Said = { question: string; files?: Attachment[] } | { answer: string; thought: string; model: string };

/** A conversation of one branch; an answer without a question before it has an empty one. None where nothing was said. */
function chatOf(title: string, createdAt: number, said: readonly Said[]): Conversation[] {
  const turns: Turn[] = [];
  const turn = (question: string, files: Attachment[] = []): Turn => {
    const before = turns.at(-1);
    const made: Turn = {
      id: newId(),
      after: before?.answers[0]?.id ?? null,
      question,
      ...(files.length > 0 ? { files } : {}),
      answers: [],
      shown: 0,
    };
    turns.push(made);
    return made;
  };
  for (const one of said) {
    const open = turns.at(-1)?.answers.length === 0 ? turns.at(-1)! : undefined;
    if ("question" in one) {
      open?.answers.push(answerOf({ answer: "", thought: "", model: "" }, createdAt, "stopped"));
      turn(one.question, one.files);
    } else (open ?? turn("")).answers.push(answerOf(one, createdAt, "done"));
  }
  const last = turns.at(-1);
  if (last?.answers.length === 0)
    last.answers.push(answerOf({ answer: "", thought: "", model: "" }, createdAt, "stopped"));
  if (turns.length === 0) return [];
  const name = title.trim() || turns[0]!.question.replace(/\s+/g, " ").slice(0, 60);
  return [{ form: 2, id: newId(), title: name, createdAt, updatedAt: createdAt, turns, picked: {} }];
}

const answerOf = (
  { answer, thought, model }: { answer: string; thought: string; model: string },
  startedAt: number,
  status: Answer["status"],
): Answer => ({ id: newId(), raw: answer, reasoning: thought, model, startedAt, pieces: 0, status });

/** A title as the name of a file: letters and digits of any script, and hyphens. */
export const fileStem = (title: string): string =>
  title
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 60) || "chat";
