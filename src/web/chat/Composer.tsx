/** The box in which a question is written. */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Icon } from "../ui/icons.tsx";
import { isSend } from "../ui/keys.ts";
import { words } from "../words/index.ts";
import { ask, stopCurrent } from "./answering.ts";

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
          {words.composer.label}
        </label>
        <textarea
          id="question"
          ref={box}
          rows={1}
          placeholder={words.composer.placeholder}
          value={text}
          aria-describedby="keys"
          autocomplete="off"
          enterkeyhint="send"
          onInput={(event) => setText(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (!isSend(event)) return;
            event.preventDefault();
            send();
          }}
        />
        {busy ? (
          <button
            type="button"
            class="send"
            aria-label={words.composer.stop}
            title={words.composer.stopKeys}
            onClick={() => stopCurrent()}
          >
            <Icon name="stop" />
          </button>
        ) : (
          <button
            type="submit"
            class="send"
            aria-label={words.composer.send}
            title={words.composer.sendKeys}
            disabled={!text.trim()}
          >
            <Icon name="send" />
          </button>
        )}
      </div>
      <p id="keys" class="hint">
        <span>
          {words.composer.keys((name) => (
            <kbd>{name}</kbd>
          ))}
        </span>{" "}
        {words.composer.mistakes}
      </p>
    </form>
  );
}
