/** The dialog of sampling settings and the system prompt. */
import { useStore } from "../store.ts";
import { Dialog } from "../ui/parts.tsx";
import { setTheme, theme } from "../ui/theme.ts";
import { words } from "../words/index.ts";
import { currentId } from "./chats.ts";
import { connection } from "./connection.ts";
import { DEFAULTS } from "./kept.ts";
import { changeSettings, settings, useSettings } from "./settings.ts";

type Knob = "temperature" | "topP" | "maxTokens" | "seed";

/** Its words are named as the setting is, its help `…Help`. */
const KNOBS: {
  key: Knob;
  min: number;
  max: number;
  step: number;
  start: number;
  slider: boolean;
}[] = [
  {
    key: "temperature",
    min: 0,
    max: 2,
    step: 0.05,
    start: 0.6,
    slider: true,
  },
  {
    key: "topP",
    min: 0.05,
    max: 1,
    step: 0.05,
    start: 0.95,
    slider: true,
  },
  {
    key: "maxTokens",
    min: 1,
    max: 1_000_000,
    step: 1,
    start: 512,
    slider: false,
  },
  {
    key: "seed",
    min: 0,
    max: 2_147_483_647,
    step: 1,
    start: 1,
    slider: false,
  },
];

export function SettingsDialog({ onClose }: { onClose: () => void }) {
  const now = useSettings();
  const id = useStore(currentId);
  const link = useStore(connection);
  const models = link.state === "up" ? link.model.models : [];
  const colours = useStore(theme);
  const set = changeSettings;
  return (
    <Dialog title={words.settings.title} onClose={onClose} class="settings">
      <p class="faint">{id === null ? words.settings.holds : words.settings.holdsHere}</p>
      {(models.length > 1 || now.model !== null) && (
        <fieldset>
          <legend>
            <label for="model">{words.settings.model}</label>
          </legend>
          <select
            id="model"
            value={now.model ?? ""}
            onChange={(event) => set({ model: event.currentTarget.value || null })}
          >
            <option value="">{words.settings.modelFirst(models[0] ?? "")}</option>
            {[...new Set([...models, ...(now.model === null ? [] : [now.model])])].map((one) => (
              <option key={one} value={one}>
                {one}
              </option>
            ))}
          </select>
        </fieldset>
      )}
      {KNOBS.map((knob) => {
        const value = now[knob.key];
        const name = words.settings[knob.key];
        return (
          <fieldset key={knob.key}>
            <legend>{name}</legend>
            <label class="auto">
              <input
                type="checkbox"
                checked={value === null}
                onChange={(event) => set({ [knob.key]: event.currentTarget.checked ? null : knob.start })}
              />
              {knob.key === "seed" ? words.settings.byChance : words.settings.byServer}
            </label>
            {value !== null && (
              <div class="knob">
                {knob.slider && (
                  <input
                    type="range"
                    aria-label={name}
                    min={knob.min}
                    max={knob.max}
                    step={knob.step}
                    value={value}
                    onInput={(event) => set({ [knob.key]: Number(event.currentTarget.value) })}
                  />
                )}
                <input
                  type="number"
                  aria-label={words.settings.asNumber(name)}
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
            <small>{words.settings[`${knob.key}Help`]}</small>
          </fieldset>
        );
      })}
      <fieldset>
        <legend>
          <label for="system">{words.settings.system}</label>
        </legend>
        <textarea
          id="system"
          rows={3}
          value={now.system}
          placeholder={words.settings.none}
          onInput={(event) => set({ system: event.currentTarget.value })}
        />
        <small>{words.settings.systemHelp}</small>
      </fieldset>
      <fieldset>
        <legend>{words.settings.colours}</legend>
        <div class="choices">
          {(["system", "light", "dark"] as const).map((one) => (
            <label key={one}>
              <input type="radio" name="colours" checked={colours === one} onChange={() => setTheme(one)} />
              {words.settings.themes[one]}
            </label>
          ))}
        </div>
      </fieldset>
      <div class="row between">
        <button type="button" class="quiet" onClick={() => set(DEFAULTS)}>
          {words.settings.reset}
        </button>
        {id !== null && (
          <button type="button" class="quiet" onClick={() => settings.set(now)}>
            {words.settings.forNew}
          </button>
        )}
        <button type="button" class="primary" onClick={onClose}>
          {words.common.done}
        </button>
      </div>
    </Dialog>
  );
}
