/** The list of conversations, by age. */
import { useState } from "preact/hooks";
import { useStore } from "../store.ts";
import { Icon } from "../ui/icons.tsx";
import { IconButton } from "../ui/parts.tsx";
import { conversations, currentId, remove, rename } from "./state.ts";
import type { Conversation } from "./types.ts";

const DAY = 86_400_000;

/** Conversations by when they were last used, newest first. */
function groupByAge(all: Conversation[], now: number): [string, Conversation[]][] {
  const midnight = new Date(now).setHours(0, 0, 0, 0);
  const groups: [string, Conversation[]][] = [
    ["Today", []],
    ["Yesterday", []],
    ["This week", []],
    ["Earlier", []],
  ];
  for (const c of all) {
    const at =
      c.updatedAt >= midnight ? 0 : c.updatedAt >= midnight - DAY ? 1 : c.updatedAt >= midnight - 6 * DAY ? 2 : 3;
    groups[at]![1].push(c);
  }
  return groups.filter(([, group]) => group.length > 0);
}

export function Sidebar({ onNew, onPick }: { onNew: () => void; onPick: (id: string) => void }) {
  const all = useStore(conversations);
  const id = useStore(currentId);
  return (
    <aside class="side" aria-label="Chats">
      <button type="button" class="new-chat" onClick={onNew} title="New chat (Ctrl+Shift+O)">
        <Icon name="plus" /> New chat
      </button>
      <div class="chats">
        {groupByAge(all, Date.now()).map(([name, group]) => (
          <section key={name}>
            <h2>{name}</h2>
            <ul>
              {group.map((c) => (
                <Entry key={c.id} conversation={c} current={c.id === id} onPick={onPick} />
              ))}
            </ul>
          </section>
        ))}
        {all.length === 0 && <p class="faint">Your chats will be listed here. They stay in this browser.</p>}
      </div>
    </aside>
  );
}

function Entry({
  conversation,
  current,
  onPick,
}: {
  conversation: Conversation;
  current: boolean;
  onPick: (id: string) => void;
}) {
  const [name, setName] = useState<string | null>(null);
  const [sure, setSure] = useState(false);
  const last = conversation.turns.at(-1);
  const busy = ["waiting", "streaming"].includes(last?.answers[last.shown]?.status ?? "");
  if (name !== null) {
    const finish = (keep: boolean) => {
      if (keep) rename(conversation.id, name);
      setName(null);
    };
    return (
      <li>
        <input
          class="rename"
          aria-label="New name of the chat"
          value={name}
          ref={(input) => input?.focus()}
          onInput={(event) => setName(event.currentTarget.value)}
          onBlur={() => finish(true)}
          onKeyDown={(event) => {
            if (event.key === "Enter") finish(true);
            if (event.key === "Escape") finish(false);
            event.stopPropagation();
          }}
        />
      </li>
    );
  }
  return (
    <li class={current ? "current" : ""}>
      <button
        type="button"
        class="pick"
        aria-current={current ? "true" : undefined}
        onClick={() => onPick(conversation.id)}
      >
        {busy && <i class="busy" title="The model is answering here" />}
        {conversation.title}
      </button>
      {sure ? (
        <span class="sure">
          <button
            type="button"
            class="link bad"
            ref={(button) => button?.focus()}
            onClick={() => remove(conversation.id)}
            onBlur={() => setSure(false)}
          >
            Delete
          </button>
        </span>
      ) : (
        <span class="entry-tools">
          <IconButton
            icon="edit"
            label={`Rename “${conversation.title}”`}
            size={15}
            onClick={() => setName(conversation.title)}
          />
          <IconButton icon="trash" label={`Delete “${conversation.title}”`} size={15} onClick={() => setSure(true)} />
        </span>
      )}
    </li>
  );
}
