/** The box in which a question is written, with its files, how to think about it, and how full the context is. */
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { useStore } from "../store.ts";
import { bytes } from "../ui/format.ts";
import { Icon } from "../ui/icons.tsx";
import { isSend } from "../ui/keys.ts";
import { IconButton } from "../ui/parts.tsx";
import { words } from "../words/index.ts";
import { ask, stopCurrent } from "./answering.ts";
import { attach } from "./attach.ts";
import { connection, thoughtsOf } from "./connection.ts";
import { draftMessages, type Fullness, useFullness } from "./fullness.ts";
import { changeSettings, useSettings } from "./settings.ts";
import type { Attachment, Conversation } from "./types.ts";

/** The box for the question: Enter sends, Shift+Enter breaks the line, and the one button sends or stops. */
export function Composer({ busy, conversation }: { busy: boolean; conversation: Conversation | undefined }) {
  const [text, setText] = useState("");
  const [files, setFiles] = useState<Attachment[]>([]);
  const [faults, setFaults] = useState<string[]>([]);
  const box = useRef<HTMLTextAreaElement>(null);
  const input = useRef<HTMLInputElement>(null);
  const link = useStore(connection);
  const { system, model } = useSettings();
  const limit = link.state === "up" ? link.model.details.contextTokens : undefined;
  const messages = useMemo(
    () => (busy ? [] : draftMessages(conversation, { question: text, files })),
    [busy, conversation, text, files, system],
  );
  const served = link.state === "up" ? link.model.id : undefined;
  const fullness = useFullness(messages, typeof limit === "number" ? limit : undefined, model ?? served);
  useLayoutEffect(() => {
    const area = box.current;
    if (!area) return;
    area.style.height = "auto";
    area.style.height = `${Math.min(area.scrollHeight, innerHeight * 0.4)}px`;
  }, [text]);
  useEffect(() => {
    if (matchMedia("(pointer: fine)").matches) box.current?.focus();
  }, [conversation?.id]);

  const send = () => {
    if (busy || !text.trim()) return;
    ask(text.trim(), files);
    setText("");
    setFiles([]);
    setFaults([]);
  };
  const take = async (chosen: readonly File[]) => {
    const read = await attach(chosen, files);
    setFiles((old) => [...old, ...read.files]);
    setFaults(read.faults.map(({ name, fault }) => `${name}: ${words.composer.fileFaults[fault]}`));
  };
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
      onDragOver={(event) => event.preventDefault()}
      onDrop={(event) => {
        event.preventDefault();
        void take([...(event.dataTransfer?.files ?? [])]);
      }}
    >
      {faults.length > 0 && (
        <p class="notice bad" role="alert">
          {faults.join(" ")}
        </p>
      )}
      <div class="composer-box">
        {files.length > 0 && (
          <ul class="files" aria-label={words.composer.files}>
            {files.map((file, i) => (
              <li key={file.name + i}>
                <Icon name="file" size={15} />
                <span>{file.name}</span>
                <small>{bytes(file.text.length)}</small>
                <IconButton
                  icon="close"
                  label={words.composer.removeFile(file.name)}
                  size={13}
                  onClick={() => setFiles((old) => old.filter((f) => f !== file))}
                />
              </li>
            ))}
          </ul>
        )}
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
          onPaste={(event) => {
            const pasted = [...(event.clipboardData?.files ?? [])];
            if (pasted.length === 0) return;
            event.preventDefault();
            void take(pasted);
          }}
        />
        <div class="composer-tools">
          <IconButton icon="attach" label={words.composer.attach} onClick={() => input.current?.click()} />
          <input
            ref={input}
            type="file"
            hidden
            multiple
            aria-label={words.composer.attach}
            onChange={(event) => {
              const chosen = [...(event.currentTarget.files ?? [])];
              event.currentTarget.value = "";
              void take(chosen);
            }}
          />
          <Thinking />
          {fullness && <Meter {...fullness} />}
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

const BUDGETS = [32, 64, 128, 256, 512, 1_024, 2_048, 4_096, 8_192, 16_384, 32_768];

/** Whether to think and how long, as far as the model's template can be told. */
function Thinking() {
  const link = useStore(connection);
  const { thinking, thinkingBudget } = useSettings();
  const model = link.state === "up" ? link.model : undefined;
  const { thinks, switched } = thoughtsOf(model);
  if (!thinks) return null;
  const context = typeof model?.details.contextTokens === "number" ? model.details.contextTokens : Infinity;
  const said = thinking === null ? "free" : thinking ? "on" : "off";
  return (
    <>
      {switched && (
        <select
          class="pill-select"
          aria-label={words.composer.thinking}
          value={said}
          onChange={(event) => {
            const chosen = event.currentTarget.value;
            changeSettings({ thinking: chosen === "free" ? null : chosen === "on" });
          }}
        >
          {(["free", "on", "off"] as const).map((one) => (
            <option key={one} value={one}>
              {words.composer.thinks[one]}
            </option>
          ))}
        </select>
      )}
      {(thinking === true || thinkingBudget !== null || !switched) && thinking !== false && (
        <select
          class="pill-select"
          aria-label={words.composer.budget}
          value={String(thinkingBudget ?? "")}
          onChange={(event) =>
            changeSettings({
              thinkingBudget: event.currentTarget.value === "" ? null : Number(event.currentTarget.value),
            })
          }
        >
          <option value="">{words.composer.unbounded}</option>
          {BUDGETS.filter((tokens) => tokens < context || tokens === thinkingBudget).map((tokens) => (
            <option key={tokens} value={tokens}>
              {words.composer.upTo(tokens)}
            </option>
          ))}
        </select>
      )}
    </>
  );
}

/** How full the context is: a bar, and the numbers. */
function Meter({ tokens, limit, exact }: Fullness) {
  const share = Math.min(1, tokens / limit);
  const said = words.composer.fullness(tokens, limit, exact);
  return (
    <span class={`fullness ${tokens > limit ? "over" : share > 0.75 ? "high" : ""}`} title={said}>
      <meter min={0} max={1} value={share} aria-label={said} />
      <span aria-hidden="true">{words.composer.fullnessShort(tokens, limit, exact)}</span>
    </span>
  );
}
