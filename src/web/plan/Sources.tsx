/** The sources that an answer rests on, as a list. */
import { useId, useRef } from "preact/hooks";
import type { Source } from "../../plan/index.ts";
import { Icon } from "../ui/icons.tsx";

const MARKS: Record<Source["mark"], string> = {
  primary: "seen in the original",
  secondary: "seen in a report about it",
  derived: "worked out from such",
  unconfirmed: "from memory, not confirmed",
};

const line = (source: Source) => `${source.title} (${source.date}; ${MARKS[source.mark]})`;

export function SourceList({ sources }: { sources: readonly Source[] }) {
  return (
    <ul class="source-list">
      {unique(sources).map((source) => (
        <li key={line(source)}>
          {source.url && /^https?:/.test(source.url) ? (
            <a href={source.url} target="_blank" rel="noopener noreferrer">
              {source.title}
            </a>
          ) : (
            source.title
          )}{" "}
          <span class="faint">
            {source.date} · <span class={`mark-${source.mark}`}>{MARKS[source.mark]}</span>
          </span>
        </li>
      ))}
    </ul>
  );
}

export function unique(sources: readonly Source[]): Source[] {
  return [...new Map(sources.map((source) => [`${source.title}|${source.date}`, source])).values()];
}

/** A small mark beside a figure: hovering names its sources, pressing shows them with their links. */
export function Sources({
  of: what,
  sources,
  note,
}: {
  of: string;
  sources: readonly Source[] | undefined;
  note?: string;
}) {
  const id = useId();
  const button = useRef<HTMLButtonElement>(null);
  const box = useRef<HTMLDivElement>(null);
  if (!sources || (sources.length === 0 && !note)) return null;
  const shown = unique(sources);
  return (
    <>
      <button
        ref={button}
        type="button"
        class="source-mark"
        aria-label={`Sources of ${what}`}
        title={[note, ...shown.slice(0, 6).map(line), shown.length > 6 ? `and ${shown.length - 6} more` : ""]
          .filter(Boolean)
          .join("\n")}
        popovertarget={id}
      >
        <Icon name="info" size={14} />
      </button>
      <div
        ref={box}
        id={id}
        popover="auto"
        class="source-box"
        role="dialog"
        aria-label={`Sources of ${what}`}
        onBeforeToggle={(event) => {
          if ((event as unknown as ToggleEvent).newState !== "open" || !button.current || !box.current) return;
          const at = button.current.getBoundingClientRect();
          const width = Math.min(380, innerWidth - 24);
          Object.assign(box.current.style, {
            width: `${width}px`,
            left: `${Math.max(12, Math.min(innerWidth - width - 12, at.left - 20))}px`,
            ...(at.bottom > innerHeight * 0.6
              ? { top: "auto", bottom: `${innerHeight - at.top + 6}px` }
              : { top: `${at.bottom + 6}px`, bottom: "auto" }),
          });
        }}
      >
        {note && <p>{note}</p>}
        <SourceList sources={shown} />
      </div>
    </>
  );
}
