// Single keys, as the list under ? says. They act on the markup that every page has: tabs, search, rows and what is in them.
// Off where the person switched them off; never while somebody types, with a modifier, or over an open dialog.
"use strict";
(() => {
  // Where they are off, there is no list of them.
  const dialog = document.getElementById("keys");
  if (!dialog) return;
  const ROWS = "main tbody tr:not(.detail), main details.prob, main [data-row]";
  const TYPED = "textarea, select, [contenteditable], input:not([type=checkbox], [type=radio], [type=button], [type=submit])";
  const shown = (element) => element.offsetParent !== null;
  const rows = () => [...document.querySelectorAll(ROWS)].filter(shown);
  const here = () => document.querySelector(":is(" + ROWS + ").here");
  let going = false;

  // ---- the row that keys act on is where the focus is
  document.addEventListener("focusin", (event) => {
    const row = event.target.closest(ROWS);
    const before = here();
    if (before === row) return;
    before?.classList.remove("here");
    row?.classList.add("here");
  });

  // What stands for the row: its link or summary; a row that has none takes the focus itself.
  const main = (row) => row.querySelector("th a[href], summary, a[href]");
  function step(by) {
    const all = rows();
    if (!all.length) return;
    const at = all.indexOf(here());
    const row = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + by, 0), all.length - 1)];
    const target = main(row) || row;
    if (target === row) row.tabIndex = -1;
    target.focus();
  }

  const inRow = (selector) => here()?.querySelector(selector);
  function select(upToHere) {
    const box = inRow(".pick input[type=checkbox]");
    if (!box) return;
    // As a click with the key held: the page's own counting and ranges follow.
    box.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, shiftKey: upToHere }));
  }
  function choose(place) {
    const radio = here()?.querySelectorAll("fieldset.three input[type=radio]")[place];
    if (radio && !radio.checked) radio.click();
  }
  function search() {
    const field = [...document.querySelectorAll("main input[type=search]")].find(shown);
    field?.focus();
    field?.select();
  }
  // A person's tabs are listed under ?; a tab of this page goes where it leads, elsewhere the list says where it is.
  function go(key) {
    const entry = dialog.querySelector(`[data-for="${CSS.escape(key)}"]`);
    if (!entry) return false;
    const tab = document.querySelector(`[data-go="${CSS.escape(key)}"]`);
    if (tab) tab.click(); else location.assign(entry.dataset.href);
    return true;
  }

  const ACTS = {
    "/": search,
    "?": () => dialog.showModal(),
    j: () => step(1),
    k: () => step(-1),
    x: () => select(false),
    X: () => select(true),
    c: () => inRow("[data-key=c]")?.click(),
    1: () => choose(0),
    2: () => choose(1),
    3: () => choose(2),
    u: () => document.getElementById("undo")?.click(),
    g: () => { going = true; },
    Enter: () => main(here())?.click(),
  };

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target;
    if (event.key === "Escape" && target.matches?.("main input[type=search]")) return leave(event);
    if (target.closest?.(TYPED) || document.querySelector("dialog[open]")) return;
    if (going) {
      if (event.key === "Shift") return;
      going = false;
      if (go(event.key)) event.preventDefault();
      return;
    }
    if (event.repeat && event.key !== "j" && event.key !== "k") return;
    // Enter is the browser's where something has the focus; a row alone has none of its own.
    if (event.key === "Enter" && !target.matches?.(ROWS)) return;
    const act = Object.hasOwn(ACTS, event.key) ? ACTS[event.key] : null;
    if (!act) return;
    event.preventDefault();
    act();
  });

  // Escape in the search empties it; where it narrows the page, the whole is shown again.
  function leave(event) {
    event.preventDefault();
    const field = event.target;
    if (!field.value) { field.blur(); return; }
    field.value = "";
    if (field.defaultValue) field.form.requestSubmit();
  }

  function hint() {
    document.querySelectorAll("main .search").forEach((form) => {
      const field = form.querySelector("input[type=search]");
      if (!field || form.querySelector(".kbd")) return;
      const sign = document.createElement("span");
      sign.className = "kbd";
      sign.setAttribute("aria-hidden", "true");
      sign.textContent = "/";
      form.append(sign);
      field.setAttribute("aria-keyshortcuts", "/");
    });
  }
  hint();
  // A search box that arrives later has it, too.
  document.addEventListener("htmx:afterSettle", hint);
  document.querySelectorAll("[data-keys-list]").forEach((button) => {
    button.hidden = false;
    button.addEventListener("click", () => { const menu = button.closest("details"); if (menu) menu.open = false; dialog.showModal(); });
  });
})();
