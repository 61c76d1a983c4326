/** Parts of every page: buttons, top bar, dialog. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { useStore } from "../store.ts";
import { words } from "../words/index.ts";
import { copyText } from "./copy.ts";
import { Icon, type IconName, Logo } from "./icons.tsx";
import { setTheme, type Theme, theme } from "./theme.ts";

/** A button that is only an icon: the label is its name for screen readers and its tooltip. */
export function IconButton(props: {
  icon: IconName;
  label: string;
  onClick: (event: MouseEvent) => void;
  class?: string;
  disabled?: boolean;
  pressed?: boolean;
  size?: number;
}) {
  return (
    <button
      type="button"
      class={`icon-button ${props.class ?? ""}`}
      aria-label={props.label}
      title={props.label}
      disabled={props.disabled}
      aria-pressed={props.pressed}
      onClick={props.onClick}
    >
      <Icon name={props.icon} size={props.size} />
    </button>
  );
}

/** Copies a text; `done` for a moment after. */
function useCopy(text: () => string): { done: boolean; copy: () => void } {
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return;
    const timer = setTimeout(() => setDone(false), 1_600);
    return () => clearTimeout(timer);
  }, [done]);
  return { done, copy: () => void copyText(text()).then(setDone) };
}

/** Copies `text` and says so for a moment. */
export function CopyButton({ text, label = words.common.copy }: { text: () => string; label?: string }) {
  const { done, copy } = useCopy(text);
  return (
    <IconButton icon={done ? "check" : "copy"} label={done ? words.common.copied : label} size={16} onClick={copy} />
  );
}

/** The same as a button with words. */
export function CopyTextButton({ text, label }: { text: () => string; label: string }) {
  const { done, copy } = useCopy(text);
  return (
    <button type="button" class="quiet" onClick={copy}>
      {done ? words.common.copied : label}
    </button>
  );
}

const THEMES: { theme: Theme; icon: IconName }[] = [
  { theme: "system", icon: "auto" },
  { theme: "light", icon: "sun" },
  { theme: "dark", icon: "moon" },
];

export function ThemeButton() {
  const now = useStore(theme);
  const index = THEMES.findIndex((t) => t.theme === now);
  const next = THEMES[(index + 1) % THEMES.length]!;
  return (
    <IconButton
      icon={THEMES[index]!.icon}
      label={words.top.colours[now]}
      class="theme-button"
      onClick={() => setTheme(next.theme)}
    />
  );
}

/** The bar at the top of every page. */
export function TopBar({
  page,
  start,
  children,
}: {
  page: "chat" | "runs" | "plan";
  start?: ComponentChildren;
  children?: ComponentChildren;
}) {
  return (
    <header class="top">
      {start}
      <a class="brand" href="/" aria-label={words.top.toChat}>
        <Logo />
        <span>Sumbi</span>
      </a>
      <nav aria-label={words.top.pages}>
        <a href="/" aria-current={page === "chat" ? "page" : undefined}>
          {words.top.chat}
        </a>
        <a href="/runs" aria-current={page === "runs" ? "page" : undefined}>
          {words.top.runs}
        </a>
        <a href="/plan" aria-current={page === "plan" ? "page" : undefined}>
          {words.top.plan}
        </a>
      </nav>
      <div class="top-rest">
        {children}
        <ThemeButton />
      </div>
    </header>
  );
}

/** A modal dialog: Esc and a click beside it close it, the browser keeps the focus inside and gives it back after. */
export function Dialog({
  title,
  onClose,
  children,
  class: name,
}: {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
  class?: string;
}) {
  const ref = useRef<HTMLDialogElement>(null);
  const latest = useRef(onClose);
  latest.current = onClose;
  useEffect(() => {
    const dialog = ref.current;
    const before = document.activeElement as HTMLElement | null;
    // the event comes later than the close: one of a dialog that is gone already must not close what was opened since
    const told = () => latest.current();
    dialog?.addEventListener("close", told);
    dialog?.showModal();
    return () => {
      dialog?.removeEventListener("close", told);
      dialog?.close();
      before?.focus?.();
    };
  }, []);
  return (
    <dialog
      ref={ref}
      class={name}
      aria-label={title}
      onClick={(event) => {
        if (event.target === ref.current) onClose();
      }}
    >
      <div class="dialog-body">
        <div class="dialog-head">
          <h2>{title}</h2>
          <IconButton icon="close" label={words.common.close} onClick={onClose} />
        </div>
        {children}
      </div>
    </dialog>
  );
}
