/** Markdown on the page, block by block, cheap while it grows. */
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { copyText } from "../ui/copy.ts";
import { words } from "../words/index.ts";
import { type Block, markdownBlocks } from "./markdown.ts";

/** A module that is loaded when it is first needed, and asked for again where that failed. */
function lazily<Module>(load: () => Promise<Module>): (use: (module: Module) => void) => void {
  let loaded: Module | null = null;
  let loading: Promise<Module> | null = null;
  return (use) => {
    if (loaded) return use(loaded);
    loading ??= load();
    loading.then((module) => use((loaded = module))).catch(() => (loading = null));
  };
}

const withMaths = lazily(() => import("./maths.ts"));
const withHighlight = lazily(() => import("./highlight.ts"));

function drawFormulas(root: HTMLElement): void {
  const spans = root.querySelectorAll<HTMLElement>(".math-inline, .math-display");
  if (spans.length === 0) return;
  withMaths(({ drawMath }) => {
    for (const span of spans) {
      if (span.dataset.drawn) continue;
      span.dataset.drawn = "yes";
      drawMath(span, span.textContent ?? "", span.classList.contains("math-display"));
    }
  });
}

function colourCode(root: HTMLElement): void {
  for (const code of root.querySelectorAll<HTMLElement>("pre > code[class^=language-]"))
    withHighlight(({ highlight }) => highlight(code, code.className.slice("language-".length).toLowerCase()));
}

function BlockView({ block, onDrawn }: { block: Block; onDrawn: (ms: number) => void }) {
  const ref = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const element = ref.current;
    if (!element) return;
    const before = performance.now();
    element.replaceChildren(block.nodes());
    drawFormulas(element);
    colourCode(element);
    onDrawn(performance.now() - before);
  }, [block.key]);
  return <div ref={ref} class="block" />;
}

/**
 * Markdown that may still be growing. While it grows it is read again at most as often as a fifth of the time allows,
 * so a long answer never makes the page stutter.
 */
export function Markdown({ text, growing = false }: { text: string; growing?: boolean }) {
  const shown = useThrottled(text, growing);
  const blocks = useMemo(() => {
    const before = performance.now();
    const made = markdownBlocks(shown.text);
    shown.cost.ms = performance.now() - before;
    return made;
  }, [shown.text]);
  return (
    <div class="markdown" onClick={onCopyClick}>
      {blocks.map((block, index) => (
        <BlockView key={index} block={block} onDrawn={(ms) => (shown.cost.ms += ms)} />
      ))}
    </div>
  );
}

function useThrottled(text: string, growing: boolean): { text: string; cost: { ms: number } } {
  const [shown, setShown] = useState(text);
  const cost = useRef({ ms: 0 });
  const latest = useRef(text);
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null);
  latest.current = text;
  useEffect(() => {
    if (!growing) {
      if (timer.current) clearTimeout(timer.current);
      timer.current = null;
      setShown(text);
    } else if (!timer.current) {
      timer.current = setTimeout(
        () => {
          timer.current = null;
          setShown(latest.current);
        },
        Math.min(2_000, cost.current.ms * 5),
      );
    }
  }, [text, growing]);
  useEffect(() => () => void (timer.current && clearTimeout(timer.current)), []);
  return { text: growing ? shown : text, cost: cost.current };
}

function onCopyClick(event: MouseEvent): void {
  const button = (event.target as Element).closest<HTMLButtonElement>("button[data-copy]");
  const code = button?.closest(".code")?.querySelector("pre")?.textContent;
  if (!button || code == null) return;
  void copyText(code).then((done) => {
    button.textContent = done ? words.common.copied : words.common.copyByHand;
    setTimeout(() => (button.textContent = words.common.copy), 1_600);
  });
}
