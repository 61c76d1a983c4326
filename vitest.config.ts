import { defineConfig } from "vitest/config";

// `--mode full` is SUMBI_TEST=full on every system: tests that take long run too.
export default defineConfig(({ mode }) => ({
  test: {
    include: ["src/**/*.test.ts", "src/**/*.test.tsx", "test/**/*.test.ts"],
    pool: "forks",
    maxWorkers: 2,
    // What a child process prints is read without colours: CI asks for them.
    env: { NO_COLOR: "1", ...(mode === "full" ? { SUMBI_TEST: "full" } : {}) },
    // Only a hang takes so long, also on one slow core that others use too.
    testTimeout: 600_000,
    hookTimeout: 600_000,
  },
}));
