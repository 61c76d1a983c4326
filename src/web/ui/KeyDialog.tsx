/** The dialog that asks for the server's API key. */
import { useState } from "preact/hooks";
import { asking, enterKey } from "../net/key.ts";
import { useStore } from "../store.ts";
import { words } from "../words/index.ts";
import { Dialog } from "./parts.tsx";

/** Asks for the server's API key. */
export function KeyDialog() {
  const again = useStore(asking) === "again";
  const [text, setText] = useState("");
  const [odd, setOdd] = useState(false);
  return (
    <Dialog title={words.key.title} onClose={() => asking.set((now) => (now === "no" ? now : "declined"))} class="key">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          const taken = enterKey(text.trim());
          setOdd(!taken);
          // the answer may come before this dialog is gone
          if (taken) setText("");
        }}
      >
        <p>{words.key.why}</p>
        <input
          type="password"
          aria-label={words.key.label}
          autocomplete="current-password"
          value={text}
          ref={(input) => void (text === "" && input?.focus())}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        {(odd || (again && text === "")) && (
          <p class="notice bad" role="alert">
            {odd ? words.key.odd : words.key.wrong}
          </p>
        )}
        <div class="row end">
          <button type="submit" class="primary" disabled={text.trim() === ""}>
            {words.key.use}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
