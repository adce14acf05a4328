// Tabs: one panel of several at a time, arrow keys between them.

import { byId } from "./format.js";

/** Where the list is not displayed, as that of the panes on a wide screen, all panels show. */
export function startTabs(...ids) {
  const tabs = ids.map(byId);
  const list = tabs[0].parentElement;
  const areTabs = () => getComputedStyle(list).display !== "none";

  function choose(id) {
    for (const tab of tabs) {
      const isChosen = tab.id === id;
      tab.setAttribute("aria-selected", isChosen);
      tab.tabIndex = isChosen ? 0 : -1;
      const panel = byId(tab.getAttribute("aria-controls"));
      panel.classList.toggle("chosen", isChosen);
      if (panel.role === "tabpanel") panel.hidden = !isChosen;
    }
    list.dispatchEvent(new CustomEvent("chosen", { detail: id }));
  }

  for (const [at, tab] of tabs.entries()) {
    tab.onclick = () => choose(tab.id);
    tab.onkeydown = (event) => {
      const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!by) return;
      const next = tabs[(at + by + tabs.length) % tabs.length];
      choose(next.id);
      next.focus();
    };
  }
  choose(ids[0]);
  return { choose, areTabs, list };
}
