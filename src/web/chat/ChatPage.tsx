/** The chat page: the conversation on show and its parts. */
import "../styles/chat.css";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { askForKey } from "../net/key.ts";
import { go } from "../router.ts";
import { useStore } from "../store.ts";
import { Icon } from "../ui/icons.tsx";
import { IconButton, TopBar } from "../ui/parts.tsx";
import { words } from "../words/index.ts";
import { ask, stopCurrent } from "./answering.ts";
import { Composer } from "./Composer.tsx";
import { conversations, currentId, storageFailed } from "./chats.ts";
import { connect, connection } from "./connection.ts";
import { ModelDialog, ModelName } from "./ModelCard.tsx";
import { isGrowing, partsOf } from "./parts.ts";
import { SettingsDialog } from "./SettingsDialog.tsx";
import { Sidebar } from "./Sidebar.tsx";
import { TurnView } from "./TurnView.tsx";
import { branchOf, turnsAfter } from "./tree.ts";
import type { Conversation } from "./types.ts";
import { Welcome } from "./Welcome.tsx";

export default function ChatPage() {
  const all = useStore(conversations);
  const id = useStore(currentId);
  const link = useStore(connection);
  const full = useStore(storageFailed);
  const conversation = all.find((c) => c.id === id);
  const missing = id !== null && !conversation;
  const branch = useMemo(() => (conversation ? branchOf(conversation) : []), [conversation]);
  const [panel, setPanel] = useState<"settings" | "model" | null>(null);
  const [drawer, setDrawer] = useState(false);
  const last = branch.at(-1);
  const lastAnswer = last?.answers[last.shown];
  const busy = lastAnswer !== undefined && isGrowing(lastAnswer);
  const scroll = useStickToBottom(id, lastAnswer);

  useEffect(() => {
    document.title = conversation ? `${conversation.title} – Sumbi` : "Sumbi";
  }, [conversation?.title]);

  useEffect(() => {
    void connect();
  }, []);
  useEffect(() => {
    if (link.state !== "down") return;
    const timer = setTimeout(() => void connect(), 4_000);
    return () => clearTimeout(timer);
  }, [link]);
  useEffect(() => setDrawer(false), [id]);

  const startNew = () => {
    setDrawer(false);
    go("/");
    document.querySelector<HTMLTextAreaElement>("#question")?.focus();
  };

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key === "Escape" && !document.querySelector("dialog[open]")) {
        if (drawer) setDrawer(false);
        else if (stopCurrent()) event.preventDefault();
      } else if ((event.metaKey || event.ctrlKey) && event.shiftKey && event.key.toLowerCase() === "o") {
        event.preventDefault();
        startNew();
      }
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [drawer]);

  return (
    <div class={`chat ${drawer ? "drawer-open" : ""}`}>
      {!missing && (
        <a class="skip" href="#question">
          {words.chat.skip}
        </a>
      )}
      <TopBar
        page="chat"
        start={
          <IconButton icon="menu" label={words.chat.chats} class="only-narrow" onClick={() => setDrawer(!drawer)} />
        }
      >
        <ModelName onOpen={() => setPanel("model")} />
        <IconButton icon="sliders" label={words.chat.settings} onClick={() => setPanel("settings")} />
      </TopBar>
      <Sidebar onNew={startNew} onPicked={() => setDrawer(false)} />
      {drawer && (
        <button type="button" class="veil" aria-label={words.chat.closeChats} onClick={() => setDrawer(false)} />
      )}
      <main class="talk">
        <div class="scroll" ref={scroll.ref} onScroll={scroll.onScroll}>
          {conversation ? (
            <div class="turns" role="group" aria-label={words.chat.conversation}>
              <h1 class="off-screen">{conversation.title}</h1>
              {branch.map((turn) => (
                <TurnView
                  key={turn.id}
                  conversationId={conversation.id}
                  turn={turn}
                  {...placeOf(conversation, turn.id, turn.after)}
                  first={turn === branch[0]}
                  last={turn === last}
                  onSettings={() => setPanel("settings")}
                  onNew={startNew}
                />
              ))}
            </div>
          ) : !missing ? (
            <Welcome onPick={ask} />
          ) : (
            <div class="welcome">
              <h1>{words.chat.missing}</h1>
              <p>{words.chat.missingWhy}</p>
              <button type="button" class="primary" onClick={startNew}>
                {words.chat.newChat}
              </button>
            </div>
          )}
        </div>
        {!scroll.stuck && conversation && (
          <button
            type="button"
            class="to-bottom"
            onClick={scroll.toBottom}
            aria-label={words.chat.toBottom}
            title={words.chat.toBottom}
          >
            <Icon name="down" />
          </button>
        )}
        {full && <p class="notice">{words.chat.full}</p>}
        {link.state === "down" && (
          <p class="notice bad" role="alert">
            <Icon name="warn" size={16} /> {link.message}{" "}
            <button type="button" class="quiet small" onClick={() => void connect()}>
              {words.chat.tryNow}
            </button>
          </p>
        )}
        {link.state === "locked" && (
          <p class="notice bad" role="alert">
            <Icon name="warn" size={16} /> {words.key.wanted}{" "}
            <button type="button" class="quiet small" onClick={askForKey}>
              {words.key.enter}
            </button>
          </p>
        )}
        {!missing && <Composer busy={busy} conversation={conversation} />}
      </main>
      <Announcer
        status={lastAnswer?.status}
        text={lastAnswer ? partsOf(lastAnswer).text : ""}
        fault={lastAnswer?.fault?.message}
      />
      {panel === "settings" && <SettingsDialog onClose={() => setPanel(null)} />}
      {panel === "model" && <ModelDialog onClose={() => setPanel(null)} />}
    </div>
  );
}

/** Which of the versions of its question a turn is, from 0, and how many there are. */
function placeOf(
  conversation: Conversation,
  turnId: string,
  after: string | null,
): { version: number; versions: number } {
  const versions = turnsAfter(conversation, after);
  return { version: versions.findIndex(({ id }) => id === turnId), versions: versions.length };
}

/** Tells screen readers when an answer begins and, once, what it says: reading every token aloud would be noise. */
function Announcer({ status, text, fault }: { status?: string; text: string; fault?: string }) {
  const [said, setSaid] = useState("");
  const before = useRef(status);
  useEffect(() => {
    if (status === before.current) return;
    if (status === "waiting") setSaid(words.chat.answering);
    else if (status === "done" && before.current) setSaid(words.chat.answer(text.slice(0, 1_000)));
    else if (status === "stopped" && before.current) setSaid(words.chat.stopped);
    else if (status === "failed" && before.current) setSaid(words.chat.noAnswer((fault ?? "").slice(0, 1_000)));
    before.current = status;
  }, [status]);
  return (
    <div class="off-screen" role="status" aria-live="polite">
      {said}
    </div>
  );
}

/** Follows a growing answer as long as the reader has not scrolled away from its end. */
function useStickToBottom(conversationId: string | null, growing: unknown) {
  const ref = useRef<HTMLDivElement>(null);
  const [stuck, setStuck] = useState(true);
  const toBottom = () => ref.current?.scrollTo({ top: ref.current.scrollHeight });
  useLayoutEffect(() => {
    setStuck(true);
    // the welcome is read from its top
    if (conversationId !== null) toBottom();
  }, [conversationId]);
  useEffect(() => {
    const inner = ref.current?.firstElementChild;
    if (!inner || !stuck || conversationId === null) return;
    const watch = new ResizeObserver(toBottom);
    watch.observe(inner);
    return () => watch.disconnect();
  }, [stuck, conversationId]);
  useLayoutEffect(() => {
    if (stuck && conversationId !== null) toBottom();
  }, [growing]);
  const onScroll = () => {
    const box = ref.current;
    if (box) setStuck(box.scrollHeight - box.scrollTop - box.clientHeight < 60);
  };
  return { ref, stuck, toBottom, onScroll };
}
