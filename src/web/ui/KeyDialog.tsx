/** The dialog that asks for the server's API key. */
import { useState } from "preact/hooks";
import { asking, enterKey } from "../net/key.ts";
import { useStore } from "../store.ts";
import { Dialog } from "./parts.tsx";

/** Asks for the server's API key. */
export function KeyDialog() {
  const again = useStore(asking) === "again";
  const [text, setText] = useState("");
  const [odd, setOdd] = useState(false);
  return (
    <Dialog
      title="This server asks for a key"
      onClose={() => asking.set((now) => (now === "no" ? now : "declined"))}
      class="key"
    >
      <form
        onSubmit={(event) => {
          event.preventDefault();
          const taken = enterKey(text.trim());
          setOdd(!taken);
          // the answer may come before this dialog is gone
          if (taken) setText("");
        }}
      >
        <p>
          It was started with an API key, which whoever runs it can tell you. The key stays in this tab and goes to this
          server only.
        </p>
        <input
          type="password"
          aria-label="API key"
          autocomplete="current-password"
          value={text}
          ref={(input) => void (text === "" && input?.focus())}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        {(odd || (again && text === "")) && (
          <p class="notice bad" role="alert">
            {odd ? "A key has letters, digits and signs, and no spaces." : "The server did not take this key."}
          </p>
        )}
        <div class="row end">
          <button type="submit" class="primary" disabled={text.trim() === ""}>
            Use this key
          </button>
        </div>
      </form>
    </Dialog>
  );
}
