/** The dialog of sampling settings and the system prompt. */
import { useStore } from "../store.ts";
import { Dialog } from "../ui/parts.tsx";
import { DEFAULTS, settings } from "./state.ts";
import type { Settings } from "./types.ts";

type Knob = Exclude<keyof Settings, "system">;

const KNOBS: {
  key: Knob;
  name: string;
  help: string;
  min: number;
  max: number;
  step: number;
  start: number;
  slider: boolean;
}[] = [
  {
    key: "temperature",
    name: "Temperature",
    help: "How much chance decides. At 0 the likeliest token always wins, best for arithmetic; around 0.6 suits reasoning; above 1 it turns wild.",
    min: 0,
    max: 2,
    step: 0.05,
    start: 0.6,
    slider: true,
  },
  {
    key: "topP",
    name: "Top-p",
    help: "Chooses only among the likeliest tokens that together have this share of the probability. 1 leaves out none.",
    min: 0.05,
    max: 1,
    step: 0.05,
    start: 0.95,
    slider: true,
  },
  {
    key: "maxTokens",
    name: "Most tokens in an answer",
    help: "Thoughts count. Question and answer together must fit in the model's context.",
    min: 1,
    max: 1_000_000,
    step: 1,
    start: 512,
    slider: false,
  },
  {
    key: "seed",
    name: "Seed",
    help: "The same seed, settings and question give the same answer. Without one, each answer differs.",
    min: 0,
    max: 2_147_483_647,
    step: 1,
    start: 1,
    slider: false,
  },
];

export function SettingsDialog({ onClose }: { onClose: () => void }) {
  const now = useStore(settings);
  const set = (change: Partial<Settings>) => settings.set((old) => ({ ...old, ...change }));
  return (
    <Dialog title="Settings" onClose={onClose} class="settings">
      <p class="faint">They hold for every question you ask from now on.</p>
      {KNOBS.map((knob) => {
        const value = now[knob.key];
        return (
          <fieldset key={knob.key}>
            <legend>{knob.name}</legend>
            <label class="auto">
              <input
                type="checkbox"
                checked={value === null}
                onChange={(event) => set({ [knob.key]: event.currentTarget.checked ? null : knob.start })}
              />
              {knob.key === "seed" ? "By chance" : "The server's choice"}
            </label>
            {value !== null && (
              <div class="knob">
                {knob.slider && (
                  <input
                    type="range"
                    aria-label={knob.name}
                    min={knob.min}
                    max={knob.max}
                    step={knob.step}
                    value={value}
                    onInput={(event) => set({ [knob.key]: Number(event.currentTarget.value) })}
                  />
                )}
                <input
                  type="number"
                  aria-label={`${knob.name}, as a number`}
                  min={knob.min}
                  max={knob.max}
                  step={knob.step}
                  value={value}
                  onChange={(event) => {
                    const typed = Number(event.currentTarget.value);
                    if (event.currentTarget.value !== "" && Number.isFinite(typed))
                      set({ [knob.key]: Math.min(knob.max, Math.max(knob.min, typed)) });
                    else event.currentTarget.value = String(value);
                  }}
                />
              </div>
            )}
            <small>{knob.help}</small>
          </fieldset>
        );
      })}
      <fieldset>
        <legend>
          <label for="system">System prompt</label>
        </legend>
        <textarea
          id="system"
          rows={3}
          value={now.system}
          placeholder="None"
          onInput={(event) => set({ system: event.currentTarget.value })}
        />
        <small>
          Put before every conversation. Small models, the bundled one among them, were not trained to follow it.
        </small>
      </fieldset>
      <div class="row between">
        <button type="button" class="quiet" onClick={() => settings.set({ ...DEFAULTS })}>
          Reset all
        </button>
        <button type="button" class="primary" onClick={onClose}>
          Done
        </button>
      </div>
    </Dialog>
  );
}
