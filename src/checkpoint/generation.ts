/** generation_config.json as an export carries it: without what contradicts itself, so that transformers loads it and saves it again. */

/** What only drawing uses, with transformers' value for "not set". */
const DRAWING: Record<string, unknown> = {
  temperature: 1,
  top_p: 1,
  top_k: 50,
  min_p: null,
  top_h: null,
  typical_p: 1,
  epsilon_cutoff: 0,
  eta_cutoff: 0,
};
/** What only beams use. */
const BEAMS: Record<string, unknown> = { early_stopping: false, length_penalty: 1 };

const isSet = (config: Record<string, unknown>, flags: Record<string, unknown>): boolean =>
  Object.entries(flags).some(([flag, unset]) => config[flag] != null && config[flag] !== unset);

/**
 * The same generation without contradictions (GenerationConfig.validate, transformers 5.23): temperature 0 is `do_sample: false`, which keeps
 * no flags of drawing; flags of drawing without do_sample mean drawing, as `sumbi serve` takes them; flags of beams need beams.
 */
export function consistentGeneration(given: Record<string, unknown>): Record<string, unknown> {
  const config = { ...given };
  const drop = (flags: readonly string[]) => flags.forEach((flag) => delete config[flag]);
  if (config.temperature === 0) config.do_sample = false;
  else if (config.do_sample == null && isSet(config, DRAWING)) config.do_sample = true;
  if (config.do_sample !== true) {
    drop(Object.keys(DRAWING));
    if (typeof config.num_return_sequences === "number" && config.num_return_sequences > 1)
      drop(["num_return_sequences"]);
  }
  if (config.num_beams == null || config.num_beams === 1) drop(Object.keys(BEAMS));
  if (typeof config.pad_token_id === "number" && config.pad_token_id < 0) drop(["pad_token_id"]);
  return config;
}
