/** Models of a hub: pulled by name into the cache that Hugging Face's tools share. */
export { hubOf, type Pulled, type PullOptions, pull } from "./pull.ts";
