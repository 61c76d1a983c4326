/** The box in which a question is written. */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Icon } from "../ui/icons.tsx";
import { ask, stopCurrent } from "./state.ts";

/** The box for the question: Enter sends, Shift+Enter breaks the line, and the one button sends or stops. */
export function Composer({ busy, conversationId }: { busy: boolean; conversationId: string | null }) {
  const [text, setText] = useState("");
  const box = useRef<HTMLTextAreaElement>(null);
  useLayoutEffect(() => {
    const area = box.current;
    if (!area) return;
    area.style.height = "auto";
    area.style.height = `${Math.min(area.scrollHeight, innerHeight * 0.4)}px`;
  }, [text]);
  useEffect(() => {
    if (matchMedia("(pointer: fine)").matches) box.current?.focus();
  }, [conversationId]);

  const send = () => {
    if (busy || !text.trim()) return;
    ask(text.trim());
    setText("");
  };
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <div class="composer-box">
        <label class="off-screen" for="question">
          Your question
        </label>
        <textarea
          id="question"
          ref={box}
          rows={1}
          placeholder="Ask anything"
          value={text}
          aria-describedby="keys"
          autocomplete="off"
          enterkeyhint="send"
          onInput={(event) => setText(event.currentTarget.value)}
          onKeyDown={(event) => {
            // While an input method composes a word, Enter belongs to it.
            if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
            event.preventDefault();
            send();
          }}
        />
        {busy ? (
          <button type="button" class="send" aria-label="Stop" title="Stop (Esc)" onClick={() => stopCurrent()}>
            <Icon name="stop" />
          </button>
        ) : (
          <button type="submit" class="send" aria-label="Send" title="Send (Enter)" disabled={!text.trim()}>
            <Icon name="send" />
          </button>
        )}
      </div>
      <p id="keys" class="hint">
        <span>
          <kbd>Enter</kbd> sends, <kbd>Shift</kbd>+<kbd>Enter</kbd> breaks the line, <kbd>Esc</kbd> stops.
        </span>{" "}
        Models make mistakes: check what matters.
      </p>
    </form>
  );
}
