/** Figure: a pipeline step, rank by rank. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { ScheduleEvent, ScheduleResult } from "../../../plan/index.ts";
import { cssColor } from "../../runs/colors.ts";
import { useStore } from "../../store.ts";
import { IconButton } from "../../ui/parts.tsx";
import { dark } from "../../ui/theme.ts";
import { seconds as show } from "../format.ts";
import { ticks, useWidth } from "./measure.ts";

export const KINDS: { kind: ScheduleEvent["kind"]; name: string; short: string; color: string }[] = [
  { kind: "F", name: "forward", short: "F", color: "--c1" },
  { kind: "B", name: "backward, inputs", short: "B", color: "--c3" },
  { kind: "W", name: "backward, weights", short: "W", color: "--c5" },
  { kind: "BW", name: "backward", short: "BW", color: "--c2" },
  { kind: "FB", name: "forward and backward together", short: "F+B", color: "--c4" },
];

const GUTTER = 40;
const AXIS = 22;

/** One step of the pipeline: a row per rank, a box per piece of work. Drag to move, scroll with Ctrl or press + and − to zoom. */
export function Timeline({ result }: { result: ScheduleResult }) {
  const { ref, width } = useWidth<HTMLDivElement>();
  const canvas = useRef<HTMLCanvasElement>(null);
  const [view, setView] = useState<[number, number]>([0, result.seconds]);
  const [hover, setHover] = useState<ScheduleEvent | null>(null);
  const isDark = useStore(dark);
  const ranks = useMemo(() => {
    const rows: ScheduleEvent[][] = [];
    for (const event of result.events) (rows[event.rank] ??= []).push(event);
    for (let i = 0; i < rows.length; i++) (rows[i] ??= []).sort((a, b) => a.start - b.start);
    return rows;
  }, [result]);
  useEffect(() => setView([0, result.seconds]), [result]);

  const rowHeight = Math.max(7, Math.min(22, Math.floor(330 / Math.max(1, ranks.length))));
  const height = ranks.length * rowHeight + AXIS;
  const [from, to] = view;
  const inner = width - GUTTER;
  const px = (time: number) => GUTTER + ((time - from) / (to - from)) * inner;

  useEffect(() => {
    const element = canvas.current;
    const pen = element?.getContext("2d");
    if (!element || !pen) return;
    const scale = devicePixelRatio || 1;
    element.width = Math.round(width * scale);
    element.height = Math.round(height * scale);
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    const colors = new Map(KINDS.map((k) => [k.kind, cssColor(k.color)]));
    const [faint, line, idle, ink] = [
      cssColor("--faint"),
      cssColor("--line"),
      cssColor("--sunk"),
      cssColor("--on-color"),
    ];
    pen.clearRect(0, 0, width, height);
    pen.font = "11px system-ui, sans-serif";
    pen.textBaseline = "middle";
    pen.fillStyle = idle;
    pen.fillRect(GUTTER, 0, inner, height - AXIS);
    const every = Math.max(1, Math.ceil(11 / rowHeight));
    ranks.forEach((row, rank) => {
      const y = rank * rowHeight;
      pen.save();
      pen.beginPath();
      pen.rect(GUTTER, 0, inner, height - AXIS);
      pen.clip();
      let first = row.findIndex((event) => event.end >= from);
      if (first < 0) first = row.length;
      for (let i = first; i < row.length && row[i]!.start <= to; i++) {
        const event = row[i]!;
        const x = px(event.start);
        const w = px(event.end) - x;
        pen.fillStyle = colors.get(event.kind)!;
        pen.fillRect(x, y + 0.5, Math.max(0.4, w - (w > 4 ? 0.8 : 0)), rowHeight - 1);
        if (w > 15 && rowHeight >= 11) {
          pen.fillStyle = ink;
          pen.textAlign = "center";
          const label = String(event.microBatch);
          if (w > 7 * label.length + 3) pen.fillText(label, x + w / 2, y + rowHeight / 2 + 0.5);
        }
      }
      pen.restore();
      if (rank % every === 0) {
        pen.fillStyle = faint;
        pen.textAlign = "right";
        pen.fillText(String(rank), GUTTER - 8, y + rowHeight / 2 + 0.5);
      }
    });
    for (const tick of ticks(from, to, Math.max(2, Math.floor(width / 110)))) {
      const x = px(tick);
      if (x < GUTTER - 0.5) continue;
      pen.strokeStyle = line;
      pen.beginPath();
      pen.moveTo(x, height - AXIS);
      pen.lineTo(x, height - AXIS + 5);
      pen.stroke();
      pen.fillStyle = faint;
      pen.textAlign = x > width - 30 ? "right" : x < GUTTER + 10 ? "left" : "center";
      pen.fillText(show(tick), x, height - AXIS / 2 + 2);
    }
    pen.fillStyle = faint;
    pen.textAlign = "right";
    pen.fillText("rank", GUTTER - 8, height - AXIS / 2 + 2);
  }, [ranks, width, height, from, to, isDark]);

  const zoom = (factor: number, middle = (from + to) / 2) => {
    const span = Math.min(result.seconds, Math.max(result.seconds / 2_000, (to - from) * factor));
    const start = Math.min(result.seconds - span, Math.max(0, middle - ((middle - from) / (to - from)) * span));
    setView([start, start + span]);
  };
  const pan = (by: number) => {
    const span = to - from;
    const start = Math.min(result.seconds - span, Math.max(0, from + by));
    setView([start, start + span]);
  };
  const drag = useRef<{ x: number; from: number } | null>(null);
  const find = (event: PointerEvent) => {
    const box = canvas.current!.getBoundingClientRect();
    const time = from + ((event.clientX - box.left - GUTTER) / inner) * (to - from);
    const rank = Math.floor((event.clientY - box.top) / rowHeight);
    return (ranks[rank] ?? []).find((e) => e.start <= time && time <= e.end) ?? null;
  };
  // Listened to by hand, since Preact's own wheel listener could not keep the browser from zooming the page.
  const zoomRef = useRef(zoom);
  zoomRef.current = zoom;
  const viewRef = useRef({ from, to, inner });
  viewRef.current = { from, to, inner };
  useEffect(() => {
    const element = canvas.current!;
    const onWheel = (event: WheelEvent) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      const now = viewRef.current;
      const time =
        now.from + ((event.clientX - element.getBoundingClientRect().left - GUTTER) / now.inner) * (now.to - now.from);
      zoomRef.current(event.deltaY > 0 ? 1.25 : 0.8, time);
    };
    element.addEventListener("wheel", onWheel, { passive: false });
    return () => element.removeEventListener("wheel", onWheel);
  }, []);

  const kinds = KINDS.filter((k) => result.events.some((event) => event.kind === k.kind));
  const kind = (event: ScheduleEvent) => KINDS.find((k) => k.kind === event.kind)!;
  return (
    <div ref={ref} class="timeline">
      <canvas
        ref={(element) => {
          canvas.current = element;
          if (element) Object.assign(element.style, { width: `${width}px`, height: `${height}px` });
        }}
        tabIndex={0}
        role="img"
        aria-label={`Pipeline of one step: ${ranks.length} ranks, ${result.events.length} pieces of work in ${show(result.seconds)}, idle ${(result.bubble * 100).toFixed(1)} % of the time. Arrow keys move, plus and minus zoom, 0 shows all.`}
        onPointerDown={(event) => {
          drag.current = { x: event.clientX, from };
          event.currentTarget.setPointerCapture(event.pointerId);
        }}
        onPointerUp={() => void (drag.current = null)}
        onPointerMove={(event) => {
          if (drag.current) {
            const span = to - from;
            const start = Math.min(
              result.seconds - span,
              Math.max(0, drag.current.from - ((event.clientX - drag.current.x) / inner) * span),
            );
            setView([start, start + span]);
          } else setHover(find(event));
        }}
        onPointerLeave={() => setHover(null)}
        onKeyDown={(event) => {
          const span = to - from;
          const does: Record<string, () => void> = {
            ArrowLeft: () => pan(-span / 8),
            ArrowRight: () => pan(span / 8),
            "+": () => zoom(0.6),
            "=": () => zoom(0.6),
            "-": () => zoom(1 / 0.6),
            "0": () => setView([0, result.seconds]),
            Home: () => pan(-Infinity),
            End: () => pan(Infinity),
          };
          const act = does[event.key];
          if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
          event.preventDefault();
          act();
        }}
      />
      <div class="timeline-foot">
        <p class="readout" role="status">
          {hover ? (
            <>
              <b>
                rank {hover.rank}, micro-batch {hover.microBatch}
              </b>{" "}
              {kind(hover).name}, stage {hover.stage}
              {hover.backward && ` (backward: micro-batch ${hover.backward.microBatch}, stage ${hover.backward.stage})`}
              : {show(hover.end - hover.start)} <span class="faint">from {show(hover.start)}</span>
            </>
          ) : (
            <span class="faint">
              {ranks.length} ranks, one step. Idle {(result.bubble * 100).toFixed(1)} %. Point at a box to see its
              micro-batch.
            </span>
          )}
        </p>
        <span class="timeline-tools">
          <IconButton icon="left" label="Earlier" size={16} onClick={() => pan(-(to - from) / 4)} />
          <IconButton icon="right" label="Later" size={16} onClick={() => pan((to - from) / 4)} />
          <IconButton icon="plus" label="Zoom in" size={16} onClick={() => zoom(0.5)} />
          <IconButton
            icon="minus"
            label="Zoom out"
            size={16}
            onClick={() => zoom(2)}
            disabled={to - from >= result.seconds * 0.999}
          />
        </span>
      </div>
      <ul class="legend">
        {kinds.map((k) => (
          <li key={k.kind}>
            <i ref={(mark) => void (mark && (mark.style.background = `var(${k.color})`))} aria-hidden="true" />
            <span>{k.name}</span>
          </li>
        ))}
        <li>
          <i class="idle-mark" aria-hidden="true" />
          <span>idle</span>
        </li>
      </ul>
    </div>
  );
}
