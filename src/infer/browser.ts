/** What of inference a browser can take: the engine's shapes, sampling's defaults, turns. No files, no runtime. */
export { BusyError, type Engine, EngineClosedError, type Guide, SAMPLING_DEFAULTS, type Sampling } from "./engine.ts";
export { Gate } from "./gate.ts";
export { shareOf } from "./model-engine.ts";
