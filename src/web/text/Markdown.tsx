/** Markdown on the page, block by block, cheap while it grows. */
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { copyText } from "../ui/copy.ts";
import { words } from "../words/index.ts";
import { type Block, markdownBlocks } from "./markdown.ts";

type Maths = typeof import("./maths.ts");
let maths: Maths | null = null;
let loading: Promise<Maths> | null = null;

function drawFormulas(root: HTMLElement): void {
  const spans = root.querySelectorAll<HTMLElement>(".math-inline:not([data-drawn]), .math-display:not([data-drawn])");
  if (spans.length === 0) return;
  const draw = (module: Maths) => {
    for (const span of spans) {
      if (span.dataset.drawn) continue;
      span.dataset.drawn = "yes";
      module.drawMath(span, span.textContent ?? "", span.classList.contains("math-display"));
    }
  };
  if (maths) return draw(maths);
  loading ??= import("./maths.ts");
  loading.then((module) => draw((maths = module))).catch(() => (loading = null));
}

function BlockView({ block }: { block: Block }) {
  const ref = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const element = ref.current;
    if (!element) return;
    element.replaceChildren(block.nodes());
    drawFormulas(element);
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
        <BlockView key={index} block={block} />
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
