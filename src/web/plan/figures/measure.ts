/** Widths and ticks of figures. */
import { useEffect, useRef, useState } from "preact/hooks";

/** The width that an element has now, for drawings that fill it; `first` until it is known. */
export function useWidth<T extends Element>(first = 600) {
  const ref = useRef<T>(null);
  const [width, setWidth] = useState(first);
  useEffect(() => {
    const element = ref.current;
    if (!element) return;
    const watch = new ResizeObserver(() => setWidth(Math.max(120, Math.floor(element.getBoundingClientRect().width))));
    watch.observe(element);
    return () => watch.disconnect();
  }, []);
  return { ref, width };
}

/** Round numbers from 0 (or `low`) to `high`, about `count` of them. */
export function ticks(low: number, high: number, count: number): number[] {
  const raw = (high - low) / Math.max(1, count);
  if (!(raw > 0) || !Number.isFinite(raw)) return [low];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw)!;
  const out: number[] = [];
  for (let i = Math.ceil(low / step); i * step <= high * (1 + 1e-9); i++) out.push(i * step);
  return out;
}

/** Numbers for a logarithmic axis: 1, 2 and 5 of each power of ten, thinned to about `count`; evenly spaced ones where it spans little. */
export function logTicks(low: number, high: number, count: number): number[] {
  if (high / low < 6) return ticks(low, high, count);
  const out: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++)
    for (const m of [1, 2, 5])
      if (m * 10 ** power >= low * 0.999 && m * 10 ** power <= high * 1.001) out.push(m * 10 ** power);
  const every = Math.max(1, Math.ceil(out.length / count));
  return out.filter((_, i) => i % every === 0);
}
