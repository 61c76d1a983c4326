/** Vite's types for what the pages import. */

/// <reference types="vite/client" />
