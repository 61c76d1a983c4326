/** A box in which a question or an answer is put in other words. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { isSend } from "../ui/keys.ts";
import { words } from "../words/index.ts";

export interface RewriteProps {
  text: string;
  label: string;
  /** The main button, which Enter presses too where `onEnter` says so. */
  action: string;
  onDone: (text: string) => void;
  onCancel: () => void;
  /** Enter ends the writing, and Shift+Enter breaks the line; else Enter breaks it. */
  enterEnds: boolean;
  note?: string;
  /** More buttons, before the main one. */
  more?: (text: string) => ComponentChildren;
  class: string;
}

export function Rewrite(props: RewriteProps) {
  const { label, action, onDone, onCancel, enterEnds, note, more } = props;
  const [text, setText] = useState(props.text);
  const area = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    area.current?.focus();
    area.current?.setSelectionRange(text.length, text.length);
  }, []);
  const submit = () => {
    if (text.trim()) onDone(text);
  };
  return (
    <form
      class={`rewrite ${props.class}`}
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <textarea
        ref={area}
        aria-label={label}
        rows={Math.min(12, text.split("\n").length + 1)}
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") {
            event.stopPropagation();
            onCancel();
          } else if (enterEnds && isSend(event)) {
            event.preventDefault();
            submit();
          }
        }}
      />
      <div class="row end">
        {note && <small class="faint">{note}</small>}
        <button type="button" class="quiet" onClick={onCancel}>
          {words.common.cancel}
        </button>
        {more?.(text)}
        <button type="submit" class="primary" disabled={!text.trim()}>
          {action}
        </button>
      </div>
    </form>
  );
}
