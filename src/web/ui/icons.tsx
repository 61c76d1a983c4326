/** Icons and the logo. */

const PATHS = {
  send: "M12 19V5M5.5 11.5 12 5l6.5 6.5",
  stop: "M7 7h10v10H7z",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  menu: "M4 7h16M4 12h16M4 17h16",
  close: "M6 6l12 12M18 6 6 18",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  check: "M5 12.5 10 17.5 19 7",
  redo: "M20 11a8 8 0 1 0-2.3 5.7M20 5v6h-6",
  edit: "M4 20h4L19 9l-4-4L4 16zM13.5 6.5l4 4",
  save: "M12 4v11M7 10.500 12 15.500l5-5M4 20h16",
  attach:
    "M19 11.500 12 18.500a4.500 4.500 0 0 1-6.400-6.400l7-7a3 3 0 0 1 4.300 4.300l-6.900 6.900a1.500 1.500 0 0 1-2.200-2.100l6.200-6.200",
  file: "M6 3h8l4 4v14H6zM14 3v4h4",
  forward: "M4 6l7 6-7 6zM13 6l7 6-7 6z",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  sliders: "M4 8h9M19 8h1M4 16h1M11 16h9M16 5.5v5M8 13.5v5",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4M17.6 17.6 19 19M19 5l-1.4 1.4M6.4 17.6 5 19",
  moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z",
  auto: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z",
  chat: "M4 5h16v11H9.500L5 20v-4H4z",
  chart: "M4 4v16h16M7.5 15l4-5 3 3 5-7",
  down: "M12 5v14M5.5 12.5 12 19l6.5-6.5",
  left: "M14.5 6 8.5 12l6 6",
  right: "M9.5 6l6 6-6 6",
  play: "M8 5.500v13l10.5-6.500z",
  pause: "M8.5 5.500v13M15.5 5.500v13",
  info: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 11v5M12 7.500v.5",
  warn: "M12 4 2.8 20h18.400zM12 10v4.500M12 17v.5",
} as const;

export type IconName = keyof typeof PATHS;

/** A line drawing of 24 by 24; always beside a text or inside a button that has a label. */
export function Icon({ name, size = 18 }: { name: IconName; size?: number }) {
  return (
    <svg
      class="icon"
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      stroke-width="1.8"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      <path d={PATHS[name]} />
      {name === "auto" && <path d="M12 7a5 5 0 0 1 0 10z" fill="currentColor" />}
    </svg>
  );
}

/** The diver's head above two waves. */
export function Logo({ size = 26 }: { size?: number }) {
  return (
    <svg class="logo" width={size} height={size} viewBox="0 0 32 32" fill="none" aria-hidden="true">
      <rect width="32" height="32" rx="9" fill="var(--accent-strong)" />
      <circle cx="16" cy="11" r="4.2" fill="#fff" />
      <path
        d="M5 19.500c2.8 0 2.8 2.2 5.5 2.200s2.8-2.2 5.5-2.2 2.8 2.2 5.5 2.2 2.8-2.2 5.5-2.2"
        stroke="#fff"
        stroke-width="2.2"
        stroke-linecap="round"
      />
      <path
        d="M9 25.400c1.9 0 1.9 1.5 3.5 1.500s1.9-1.5 3.5-1.5 1.9 1.5 3.5 1.5 1.9-1.5 3.5-1.5"
        stroke="#fff"
        stroke-opacity=".6"
        stroke-width="1.8"
        stroke-linecap="round"
      />
    </svg>
  );
}
