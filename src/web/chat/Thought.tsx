/** What the model thought before it answered, folded or open. */
import { useEffect, useRef, useState } from "preact/hooks";
import { Markdown } from "../text/Markdown.tsx";
import { duration } from "../ui/format.ts";
import { Icon } from "../ui/icons.tsx";
import { words } from "../words/index.ts";
import type { Answer } from "./types.ts";

/** What the model thought before it answered: open while it grows, folded after, unless the reader chose otherwise. */
export function Thought({ thought, thinking, answer }: { thought: string; thinking: boolean; answer: Answer }) {
  const [chosen, setChosen] = useState<boolean | null>(null);
  const [now, setNow] = useState(Date.now());
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!thinking) return;
    const timer = setInterval(() => setNow(Date.now()), 100);
    return () => clearInterval(timer);
  }, [thinking]);
  const open = chosen ?? thinking;
  useEffect(() => {
    if (thinking && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [thought, thinking]);
  const seconds = thinking ? (now - answer.startedAt) / 1_000 : (answer.thoughtMs ?? answer.lastMs ?? 0) / 1_000;
  const tokens = answer.usage?.completion_tokens_details?.reasoning_tokens;
  return (
    <div class={`thought ${thinking ? "thinking" : ""}`}>
      <button type="button" class="thought-head" aria-expanded={open} onClick={() => setChosen(!open)}>
        <Icon name="right" size={15} />
        <span>
          {words.thought[thinking ? "thinking" : "thought"](<time>{duration(Math.max(0, seconds))}</time>)}
          {tokens !== undefined && ` · ${words.thought.tokens(tokens)}`}
        </span>
      </button>
      {open && (
        <div class="thought-body" ref={box} tabIndex={0} role="group" aria-label={words.thought.label}>
          <Markdown text={thought} growing={thinking} />
        </div>
      )}
    </div>
  );
}
