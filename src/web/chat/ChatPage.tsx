/** The chat page: the conversation on show and its parts. */
import "../styles/chat.css";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { askForKey } from "../net/key.ts";
import { go } from "../router.ts";
import { useStore } from "../store.ts";
import { Icon } from "../ui/icons.tsx";
import { IconButton, TopBar } from "../ui/parts.tsx";
import { Composer } from "./Composer.tsx";
import { ModelDialog, ModelName } from "./ModelCard.tsx";
import { SettingsDialog } from "./SettingsDialog.tsx";
import { Sidebar } from "./Sidebar.tsx";
import { ask, connect, connection, conversations, currentId, partsOf, stopCurrent, storageFailed } from "./state.ts";
import { TurnView } from "./TurnView.tsx";
import { Welcome } from "./Welcome.tsx";

export default function ChatPage() {
  const all = useStore(conversations);
  const id = useStore(currentId);
  const link = useStore(connection);
  const full = useStore(storageFailed);
  const conversation = all.find((c) => c.id === id);
  const [panel, setPanel] = useState<"settings" | "model" | null>(null);
  const [drawer, setDrawer] = useState(false);
  const last = conversation?.turns.at(-1);
  const lastAnswer = last?.answers[last.shown];
  const busy = lastAnswer?.status === "waiting" || lastAnswer?.status === "streaming";
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

  const startNew = () => {
    currentId.set(null);
    setDrawer(false);
    go("/");
    document.querySelector<HTMLTextAreaElement>("#question")?.focus();
  };

  return (
    <div class={`chat ${drawer ? "drawer-open" : ""}`}>
      <a class="skip" href="#question">
        Skip to the question box
      </a>
      <TopBar
        page="chat"
        start={<IconButton icon="menu" label="Chats" class="only-narrow" onClick={() => setDrawer(!drawer)} />}
      >
        <ModelName onOpen={() => setPanel("model")} />
        <IconButton icon="sliders" label="Settings" onClick={() => setPanel("settings")} />
      </TopBar>
      <Sidebar
        onNew={startNew}
        onPick={(chosen) => {
          currentId.set(chosen);
          setDrawer(false);
        }}
      />
      {drawer && (
        <button type="button" class="veil" aria-label="Close the list of chats" onClick={() => setDrawer(false)} />
      )}
      <main class="talk">
        <div class="scroll" ref={scroll.ref} onScroll={scroll.onScroll}>
          {conversation ? (
            <div class="turns" role="group" aria-label="Conversation">
              <h1 class="off-screen">{conversation.title}</h1>
              {conversation.turns.map((turn) => (
                <TurnView
                  key={turn.id}
                  conversationId={conversation.id}
                  turn={turn}
                  last={turn === last}
                  onSettings={() => setPanel("settings")}
                  onNew={startNew}
                />
              ))}
            </div>
          ) : (
            <Welcome onPick={ask} />
          )}
        </div>
        {!scroll.stuck && (
          <button
            type="button"
            class="to-bottom"
            onClick={scroll.toBottom}
            aria-label="Go to the latest words"
            title="Go to the latest words"
          >
            <Icon name="down" />
          </button>
        )}
        {full && (
          <p class="notice">This browser's storage is full or blocked: chats are kept only until the page closes.</p>
        )}
        {link.state === "down" && (
          <p class="notice bad" role="alert">
            <Icon name="warn" size={16} /> {link.message}{" "}
            <button type="button" class="quiet small" onClick={() => void connect()}>
              Try now
            </button>
          </p>
        )}
        {link.state === "locked" && (
          <p class="notice bad" role="alert">
            <Icon name="warn" size={16} /> This server asks for a key.{" "}
            <button type="button" class="quiet small" onClick={askForKey}>
              Enter it
            </button>
          </p>
        )}
        <Composer busy={busy} conversationId={id} />
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

/** Tells screen readers when an answer begins and, once, what it says: reading every token aloud would be noise. */
function Announcer({ status, text, fault }: { status?: string; text: string; fault?: string }) {
  const [said, setSaid] = useState("");
  const before = useRef(status);
  useEffect(() => {
    if (status === before.current) return;
    if (status === "waiting") setSaid("The model is answering.");
    else if (status === "done" && before.current) setSaid(`Answer: ${text.slice(0, 1_000)}`);
    else if (status === "stopped" && before.current) setSaid("Stopped.");
    else if (status === "failed" && before.current) setSaid(`No answer: ${(fault ?? "").slice(0, 1_000)}`);
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
    toBottom();
  }, [conversationId]);
  useEffect(() => {
    const inner = ref.current?.firstElementChild;
    if (!inner || !stuck) return;
    const watch = new ResizeObserver(toBottom);
    watch.observe(inner);
    return () => watch.disconnect();
  }, [stuck, conversationId]);
  useLayoutEffect(() => {
    if (stuck) toBottom();
  }, [growing]);
  const onScroll = () => {
    const box = ref.current;
    if (box) setStuck(box.scrollHeight - box.scrollTop - box.clientHeight < 60);
  };
  return { ref, stuck, toBottom, onScroll };
}
