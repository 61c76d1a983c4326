// The planner is pure and runs in a browser: this page sends nothing to anyone.
import { CHIPS, chipOf, plan, planModel, planModelNames } from "sumbi/plan";

const form = /** @type {HTMLFormElement} */ (document.querySelector("form"));
const output = /** @type {HTMLOutputElement} */ (document.querySelector("output"));
const fill = (/** @type {string} */ name, /** @type {string[]} */ values, /** @type {string} */ chosen) =>
  form[name].append(...values.map((value) => new Option(value, value, false, value === chosen)));
fill("model", planModelNames(), "llama-3.1-8b");
fill("chip", Object.keys(CHIPS), "h100");

form.addEventListener("submit", (event) => {
  event.preventDefault();
  try {
    const { model, name } = planModel(form.model.value);
    const answer = plan({
      model,
      modelName: name,
      chip: chipOf(form.chip.value),
      gpus: Number(form.gpus.value),
      tokens: Number(form.tokens.value) * 1e9,
    });
    const { days, usd, p10, p90 } = answer;
    const range = (/** @type {number} */ low, /** @type {number} */ high) =>
      `${low.toPrecision(3)} to ${high.toPrecision(3)}`;
    output.textContent = `${days.toFixed(1)} days (${range(p10.days, p90.days)}), $${Math.round(usd).toLocaleString("en")}`;
  } catch (error) {
    output.textContent = String(error); // says what was expected, and the nearest that works
  }
});
