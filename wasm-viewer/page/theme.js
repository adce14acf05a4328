// Light, dark, or as the system has it; and the colours of columns.

import { byId } from "./format.js";

const THEMES = ["System", "Light", "Dark"];
const KEY = "volley-theme";

function stored() {
  // Some browsers refuse storage to files.
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

function apply(theme) {
  document.documentElement.style.colorScheme = theme === "System" ? "" : theme.toLowerCase();
  byId("theme").textContent = theme;
  byId("theme").setAttribute("aria-label", `Theme: ${theme.toLowerCase()}`);
  dispatchEvent(new Event("theme-changed"));
}

export function startTheme() {
  apply(THEMES.includes(stored()) ? stored() : "System");
  byId("theme").onclick = () => {
    const theme = THEMES[(THEMES.indexOf(byId("theme").textContent) + 1) % THEMES.length];
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // It holds until the page is left.
    }
    apply(theme);
  };
  matchMedia("(prefers-color-scheme: dark)").onchange = () => dispatchEvent(new Event("theme-changed"));
}

export function isDark() {
  const chosen = document.documentElement.style.colorScheme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

/** The colour of a column: neighbours differ, light and dark themes each have theirs. */
export function colorOf(column) {
  const hue = (25 + column * 137.5) % 360;
  return isDark() ? `oklch(0.72 0.13 ${hue})` : `oklch(0.66 0.15 ${hue})`;
}

/** The colour of bytes that belong to no column, by the name of their kind. */
export function colorOfKind(name) {
  const [light, dark] = {
    padding: ["#e3e5ea", "#2b2f38"],
    unclaimed: ["#d92d20", "#f97066"],
  }[name] ?? ["#9aa1ad", "#5c6472"];
  return isDark() ? dark : light;
}
