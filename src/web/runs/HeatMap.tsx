/** The load of every expert over a run, as a map of colours. */
import { useEffect, useRef, useState } from "preact/hooks";
import { useStore } from "../store.ts";
import { IconButton } from "../ui/parts.tsx";
import { dark } from "../ui/theme.ts";
import { loadColor } from "./colors.ts";
import type { LoadRecord } from "./log.ts";

/** The record at or before a step; the first where the step is before all. */
function loadAt(loads: readonly LoadRecord[], index: number | null): LoadRecord | undefined {
  return loads.length === 0
    ? undefined
    : loads[index === null ? loads.length - 1 : Math.max(0, Math.min(loads.length - 1, index))];
}

/** Where the busiest expert of a record sits. */
function busiestOf(record: LoadRecord): { layer: number; expert: number; load: number } {
  let best = { layer: 0, expert: 0, load: -Infinity };
  record.load.forEach((row, layer) =>
    row.forEach((load, expert) => {
      if (load > best.load) best = { layer, expert, load };
    }),
  );
  return best;
}

/**
 * How busy each expert of each MoE layer is, against its layer's mean, at one moment of the run. The slider goes back
 * in time; at its end the map follows the run.
 */
export function HeatMap({
  loads,
  expertLayers,
  firstLayer = 0,
  layers = Infinity,
}: {
  loads: LoadRecord[];
  /** The layer of each row; older runs have rows from `firstLayer` on. */
  expertLayers?: readonly number[];
  firstLayer?: number;
  layers?: number;
}) {
  const [chosen, setChosen] = useState<number | null>(null);
  const [playing, setPlaying] = useState(false);
  const [hover, setHover] = useState<{ layer: number; expert: number } | null>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const theme = useStore(dark) ? "dark" : "light";
  const record = loadAt(loads, chosen);
  const rows = record?.load.length ?? 0;
  const columns = Math.max(1, ...(record?.load.map((row) => row.length) ?? [1]));

  useEffect(() => {
    const element = canvas.current;
    if (!element || !record) return;
    const draw = () => {
      const scale = devicePixelRatio || 1;
      const width = element.clientWidth;
      const cell = width / columns;
      const rowHeight = Math.max(14, Math.min(34, 260 / rows));
      element.style.height = `${rowHeight * rows}px`;
      element.width = Math.round(width * scale);
      element.height = Math.round(rowHeight * rows * scale);
      const pen = element.getContext("2d");
      if (!pen) return;
      pen.scale(scale, scale);
      const gap = cell > 6 ? 1 : 0;
      record.load.forEach((row, layer) =>
        row.forEach((load, expert) => {
          pen.fillStyle = `rgb(${loadColor(load, theme).join(" ")})`;
          pen.fillRect(expert * cell, layer * rowHeight, cell - gap, rowHeight - gap);
          if (hover?.layer === layer && hover.expert === expert) {
            pen.strokeStyle = theme === "dark" ? "#fff" : "#000";
            pen.lineWidth = 2;
            pen.strokeRect(expert * cell + 1, layer * rowHeight + 1, cell - gap - 2, rowHeight - gap - 2);
          }
        }),
      );
    };
    draw();
    const watch = new ResizeObserver(draw);
    watch.observe(element.parentElement!);
    return () => watch.disconnect();
  }, [record, theme, hover, rows, columns]);

  useEffect(() => {
    if (!playing) return;
    const timer = setInterval(() => {
      setChosen((now) => {
        const next = (now ?? 0) + 1;
        if (next < loads.length - 1) return next;
        setPlaying(false);
        return null;
      });
    }, 120);
    return () => clearInterval(timer);
  }, [playing, loads.length]);

  if (!record) return <p class="faint">Nothing about expert load yet. Models without experts have none.</p>;
  const busiest = busiestOf(record);
  // Behind the model's own layers come those of its MTP modules.
  const name = (row: number) => {
    const layer = expertLayers?.[row] ?? row + firstLayer;
    return layer < layers ? `${layer}` : "MTP";
  };
  const find = (event: PointerEvent) => {
    const bounds = (event.currentTarget as HTMLElement).getBoundingClientRect();
    const layer = Math.floor(((event.clientY - bounds.top) / bounds.height) * rows);
    const expert = Math.floor(((event.clientX - bounds.left) / bounds.width) * columns);
    setHover(record.load[layer]?.[expert] === undefined ? null : { layer, expert });
  };
  return (
    <div class="heat">
      <div class="heat-grid">
        <div class="heat-rows" aria-hidden="true">
          {record.load.map((_row, layer) => (
            <span key={layer}>{rows <= 20 || layer % 4 === 0 ? name(layer) : ""}</span>
          ))}
        </div>
        <div class="heat-canvas">
          <canvas
            ref={canvas}
            role="img"
            aria-label={`Load of ${columns} experts in ${rows} layers at step ${record.step}. The busiest, expert ${busiest.expert} of layer ${name(busiest.layer)}, has ${busiest.load.toFixed(2)} times the mean.`}
            onPointerMove={find}
            onPointerDown={find}
            onPointerLeave={() => setHover(null)}
          />
        </div>
        <span class="heat-axis">layer ↓ expert →</span>
      </div>
      <div class="heat-line">
        <span class="heat-hover" aria-live="off">
          {hover ? (
            <>
              layer <b>{name(hover.layer)}</b>, expert <b>{hover.expert}</b>:{" "}
              <b>{record.load[hover.layer]?.[hover.expert]?.toFixed(2)}×</b> the mean
            </>
          ) : (
            <>
              busiest: layer <b>{name(busiest.layer)}</b>, expert <b>{busiest.expert}</b>,{" "}
              <b>{busiest.load.toFixed(2)}×</b> the mean
            </>
          )}
        </span>
        <Legend theme={theme} />
      </div>
      <div class="heat-line">
        <IconButton
          icon={playing ? "pause" : "play"}
          label={playing ? "Pause" : "Play from the beginning"}
          onClick={() => {
            if (!playing) setChosen(chosen === null || chosen >= loads.length - 2 ? 0 : chosen);
            setPlaying(!playing);
          }}
        />
        <input
          type="range"
          aria-label="Moment of the run"
          aria-valuetext={`step ${record.step}`}
          min={0}
          max={loads.length - 1}
          value={chosen ?? loads.length - 1}
          onInput={(event) => {
            const at = Number(event.currentTarget.value);
            setPlaying(false);
            setChosen(at >= loads.length - 1 ? null : at);
          }}
        />
        <output>
          step {record.step.toLocaleString("en-US")}
          {chosen === null ? " (latest)" : ""}
        </output>
      </div>
    </div>
  );
}

function Legend({ theme }: { theme: "light" | "dark" }) {
  const bar = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const pen = bar.current?.getContext("2d");
    if (!pen) return;
    for (let x = 0; x < 160; x++) {
      pen.fillStyle = `rgb(${loadColor((x / 159) * 2, theme).join(" ")})`;
      pen.fillRect(x, 0, 1, 10);
    }
  }, [theme]);
  return (
    <span
      class="heat-legend"
      role="img"
      aria-label="Colours: blue is idle, neutral is the mean, orange is twice the mean or more"
    >
      <span>idle</span>
      <span>
        <canvas ref={bar} width={160} height={10} />
        <span class="ticks">
          <i>0</i>
          <i>½</i>
          <i>1×</i>
          <i>1½</i>
          <i>≥2×</i>
        </span>
      </span>
      <span>busy</span>
    </span>
  );
}
