/** The list of conversations, by age: found, renamed, saved, deleted, opened from files. */
import { useMemo, useRef, useState } from "preact/hooks";
import { go } from "../router.ts";
import { useStore } from "../store.ts";
import { save } from "../ui/download.ts";
import { Icon } from "../ui/icons.tsx";
import { isSend } from "../ui/keys.ts";
import { IconButton } from "../ui/parts.tsx";
import { words } from "../words/index.ts";
import { deleteChat } from "./answering.ts";
import { add, addressOf, conversations, currentId, deleted, isBusy, rename, undelete } from "./chats.ts";
import { toJson } from "./exchange.ts";
import { FileDialog } from "./FileDialog.tsx";
import { findIn } from "./find.ts";
import { openFiles } from "./open.ts";
import type { Conversation } from "./types.ts";

const DAY = 86_400_000;

/** Conversations by when they were last used, newest first. */
function groupByAge(all: Conversation[], now: number): [string, Conversation[]][] {
  const midnight = new Date(now).setHours(0, 0, 0, 0);
  const { today, yesterday, week, earlier } = words.side;
  const groups: [string, Conversation[]][] = [today, yesterday, week, earlier].map((name) => [name, []]);
  for (const c of all) {
    const at =
      c.updatedAt >= midnight ? 0 : c.updatedAt >= midnight - DAY ? 1 : c.updatedAt >= midnight - 6 * DAY ? 2 : 3;
    groups[at]![1].push(c);
  }
  return groups.filter(([, group]) => group.length > 0);
}

export function Sidebar({ onNew, onPicked }: { onNew: () => void; onPicked: () => void }) {
  const all = useStore(conversations);
  const id = useStore(currentId);
  const [find, setFind] = useState("");
  const [filing, setFiling] = useState<Conversation | null>(null);
  const found = useMemo(
    () => all.flatMap((c) => (find.trim() ? (findIn(c, find) ?? []) : { chat: c, around: "" })),
    [all, find],
  );
  const around = new Map(found.map((f) => [f.chat.id, f.around]));
  return (
    <aside class="side" aria-label={words.chat.chats}>
      <button type="button" class="new-chat" onClick={onNew} title={words.side.newChatKeys}>
        <Icon name="plus" /> {words.side.newChat}
      </button>
      {all.length > 0 && (
        <input
          type="search"
          class="find"
          aria-label={words.side.find}
          placeholder={words.side.find}
          value={find}
          onInput={(event) => setFind(event.currentTarget.value)}
        />
      )}
      <div class="chats">
        {groupByAge(
          found.map(({ chat }) => chat),
          Date.now(),
        ).map(([name, group]) => (
          <section key={name}>
            <h2>{name}</h2>
            <ul>
              {group.map((c) => (
                <Entry
                  key={c.id}
                  conversation={c}
                  around={around.get(c.id) ?? ""}
                  current={c.id === id}
                  onPicked={onPicked}
                  onFile={() => setFiling(c)}
                />
              ))}
            </ul>
          </section>
        ))}
        {all.length === 0 && <p class="faint">{words.side.none}</p>}
        {all.length > 0 && found.length === 0 && <p class="faint">{words.side.noneFound}</p>}
      </div>
      <Undo />
      <Files all={all} />
      {filing && <FileDialog conversation={filing} onClose={() => setFiling(null)} />}
    </aside>
  );
}

/** The way back from a deletion: there until it is closed or something else is deleted, for nobody is to be hurried. */
function Undo() {
  const gone = useStore(deleted);
  if (!gone) return null;
  return (
    <p class="strip" role="status">
      <span>{words.side.removed(gone.title)}</span>
      <button type="button" class="link" onClick={undelete}>
        {words.side.undo}
      </button>
      <IconButton icon="close" label={words.common.close} size={14} onClick={() => deleted.set(null)} />
    </p>
  );
}

/** Opens files of chats, and saves all chats to one. */
function Files({ all }: { all: Conversation[] }) {
  const input = useRef<HTMLInputElement>(null);
  const [said, setSaid] = useState<{ text: string; bad: boolean } | null>(null);
  const open = async (files: readonly File[]) => {
    const { chats, faults } = await openFiles(files);
    const fresh = add(chats);
    if (fresh[0]) go(addressOf(fresh[0].id));
    const opened = fresh.length > 0 ? words.side.opened(fresh.length) : chats.length > 0 ? words.side.openedBefore : "";
    const bad = faults.map(({ name, fault }) => `${name}: ${words.side.fileFaults[fault]}`);
    setSaid({ text: [opened, ...bad].filter(Boolean).join(" "), bad: bad.length > 0 });
  };
  return (
    <>
      {said && (
        <p class={`strip ${said.bad ? "bad" : ""}`} role={said.bad ? "alert" : "status"}>
          <span>{said.text}</span>
          <IconButton icon="close" label={words.common.close} size={14} onClick={() => setSaid(null)} />
        </p>
      )}
      <div class="side-files">
        <button type="button" class="quiet small" onClick={() => input.current?.click()}>
          {words.side.open}
        </button>
        {all.length > 0 && (
          <button
            type="button"
            class="quiet small"
            onClick={() => save("sumbi-chats.json", toJson(all), "application/json")}
          >
            {words.side.saveAll}
          </button>
        )}
        <input
          ref={input}
          type="file"
          hidden
          multiple
          aria-label={words.side.open}
          accept=".json,.md,application/json,text/markdown"
          onChange={(event) => {
            const files = [...(event.currentTarget.files ?? [])];
            event.currentTarget.value = "";
            void open(files);
          }}
        />
      </div>
    </>
  );
}

interface EntryProps {
  conversation: Conversation;
  /** What was found in it, with the words beside. */
  around: string;
  current: boolean;
  onPicked: () => void;
  onFile: () => void;
}

function Entry({ conversation, around, current, onPicked, onFile }: EntryProps) {
  const [name, setName] = useState<string | null>(null);
  if (name !== null) {
    const finish = (keep: boolean) => {
      if (keep) rename(conversation.id, name);
      setName(null);
    };
    return (
      <li>
        <input
          class="rename"
          aria-label={words.side.newName}
          value={name}
          ref={(input) => input?.focus()}
          onInput={(event) => setName(event.currentTarget.value)}
          onBlur={() => finish(true)}
          onKeyDown={(event) => {
            if (isSend(event)) finish(true);
            if (event.key === "Escape") finish(false);
            event.stopPropagation();
          }}
        />
      </li>
    );
  }
  const { title } = conversation;
  return (
    <li class={current ? "current" : ""}>
      <a
        class="pick"
        href={addressOf(conversation.id)}
        aria-current={current ? "page" : undefined}
        title={title}
        onClick={onPicked}
      >
        {isBusy(conversation) && <i class="busy" title={words.side.busy} />}
        {title}
        {around && <small>{around}</small>}
      </a>
      <span class="entry-tools">
        <IconButton icon="edit" label={words.side.rename(title)} size={15} onClick={() => setName(title)} />
        <IconButton icon="save" label={words.side.file(title)} size={15} onClick={onFile} />
        <IconButton icon="trash" label={words.side.remove(title)} size={15} onClick={() => deleteChat(conversation)} />
      </span>
    </li>
  );
}
