/** Adapters in PEFT's format. */
export {
  ADAPTER_CONFIG,
  type Adapter,
  type AdapterToWrite,
  addLowRank,
  baseMark,
  isAdapter,
  readAdapter,
  writeAdapter,
} from "./adapter.ts";
export { RANK_MAX } from "./config.ts";
