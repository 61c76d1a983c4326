/** How the curves are shown: axis, smoothing, scale. */
import { createStore, readStored, useStore, writeStored } from "../store.ts";
import { AXES, type Axis } from "./curves.ts";

interface View {
  axis: Axis;
  smoothing: number;
  log: boolean;
}

/** How curves are looked at: kept, so that every run opens the way the last one was read. */
export const look = createStore<View>({
  axis: "step",
  smoothing: 0.7,
  log: false,
  ...readStored<Partial<View>>("sumbi.curves"),
});
look.subscribe(() => writeStored("sumbi.curves", look.get()));

export function Controls() {
  const now = useStore(look);
  return (
    <div class="controls">
      <label>
        x axis{" "}
        <select value={now.axis} onChange={(event) => look.set({ ...now, axis: event.currentTarget.value as Axis })}>
          {AXES.map(({ axis, name }) => (
            <option key={axis} value={axis}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <label>
        smoothing{" "}
        <input
          type="range"
          min={0}
          max={0.99}
          step={0.01}
          value={now.smoothing}
          onInput={(event) => look.set({ ...now, smoothing: Number(event.currentTarget.value) })}
        />
        <output>{now.smoothing.toFixed(2)}</output>
      </label>
      <label>
        <input
          type="checkbox"
          checked={now.log}
          onChange={(event) => look.set({ ...now, log: event.currentTarget.checked })}
        />{" "}
        logarithmic loss
      </label>
    </div>
  );
}
