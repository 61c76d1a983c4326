/** A question: its words, its versions, and what can be done with it. */
import { useState } from "preact/hooks";
import { bytes } from "../ui/format.ts";
import { Icon } from "../ui/icons.tsx";
import { CopyButton, IconButton } from "../ui/parts.tsx";
import { words } from "../words/index.ts";
import { askOtherwise } from "./answering.ts";
import { update } from "./chats.ts";
import { Rewrite } from "./Rewrite.tsx";
import { showVersion } from "./tree.ts";
import type { TurnProps } from "./turnProps.ts";
import { Versions } from "./Versions.tsx";

export function Question({ conversationId, turn, version, versions }: TurnProps) {
  const [changing, setChanging] = useState(false);
  if (changing)
    return (
      <Rewrite
        class="of-question"
        text={turn.question}
        label={words.turn.change}
        action={words.turn.askAgain}
        note={words.turn.keeps}
        enterEnds
        onCancel={() => setChanging(false)}
        onDone={(text) => {
          setChanging(false);
          askOtherwise(conversationId, turn, text.trim());
        }}
      />
    );
  return (
    <div class={`question ${versions > 1 ? "has-versions" : ""}`}>
      <h2 class="off-screen">{words.turn.asked}</h2>
      {/* a long one scrolls, also by keys */}
      <div class="bubble" tabIndex={turn.question.length > 250 || turn.question.split("\n").length > 8 ? 0 : undefined}>
        {turn.question}
      </div>
      {turn.files?.map(({ name, text }, i) => (
        <details key={i} class="file">
          <summary>
            <Icon name="file" size={15} /> {words.turn.file(name, bytes(text.length))}
          </summary>
          <pre tabIndex={0}>{text}</pre>
        </details>
      ))}
      <div class="tools">
        <IconButton icon="edit" label={words.turn.change} size={16} onClick={() => setChanging(true)} />
        <CopyButton text={() => turn.question} label={words.turn.copyQuestion} />
        <Versions
          at={version}
          of={versions}
          words={{ before: words.turn.before, next: words.turn.next, place: words.turn.version }}
          onShow={(index) => update(conversationId, (c) => showVersion(c, turn.id, index))}
        />
      </div>
    </div>
  );
}
