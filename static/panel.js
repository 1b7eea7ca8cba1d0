// What the pages do beyond links and forms. Everything here has a way without it.
"use strict";
(() => {
  const each = (selector, act, root = document) => root.querySelectorAll(selector).forEach(act);

  // ---- menus: one open at a time, closed by Escape or a click elsewhere
  const close = (menu) => { menu.open = false; };
  document.addEventListener("click", (event) => {
    each("details.menu[open]", (menu) => { if (!menu.contains(event.target)) close(menu); });
    const button = event.target.closest("[data-close]");
    if (!button) return;
    const dialog = button.closest("dialog");
    if (dialog) dialog.close();
    // A toast that offers nothing leaves by itself; of one that does, the server is told.
    else if (button.hasAttribute("href")) { event.preventDefault(); handBack(button.closest(".toast")); button.closest(".toast").remove(); }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    each("details.menu[open]", (menu) => { close(menu); menu.querySelector("summary").focus(); });
    each("#toast [data-close]", (button) => button.click());
  });

  // ---- a table with tick boxes: what is selected
  // So many exceptions fit into an address
  const MOST_LEFT_OUT = 300;
  function selection(form) {
    form.dataset.ready = "yes";
    const boxes = [...form.querySelectorAll("tbody .pick input[type=checkbox]")];
    const matching = form.querySelector("input[name=matching]");
    let last = null;
    // With “all that match”, other pages and orders of the table are told what was unticked; of too many, none is ticked.
    const carry = () => {
      const elsewhere = form.querySelector(".bulk").dataset.left.split(",").filter(Boolean);
      const off = [...elsewhere, ...boxes.filter((box) => !box.checked).map((box) => box.value)];
      each(".pages a, thead th a", (link) => {
        const url = new URL(link.href);
        url.searchParams.delete("except");
        if (off.length > MOST_LEFT_OUT) url.searchParams.delete("select");
        else if (off.length) url.searchParams.set("except", off.join(","));
        link.href = url;
      });
    };
    const count = () => {
      const ticked = boxes.filter((box) => box.checked).length;
      // With “all that match”, what is unticked on this page is left out of the rest.
      const n = matching ? Number(form.querySelector(".bulk").dataset.total) - (boxes.length - ticked) : ticked;
      each("[data-n]", (place) => { place.textContent = n; }, form);
      each(".bulk button[name]", (button) => {
        if (n) button.removeAttribute("aria-disabled"); else button.setAttribute("aria-disabled", "true");
      }, form);
      each("[data-all]", (all) => { all.checked = ticked > 0 && ticked === boxes.length; all.indeterminate = ticked > 0 && ticked < boxes.length; }, form);
      boxes.forEach((box) => box.closest("tr").classList.toggle("sel", box.checked));
      if (matching) carry();
    };
    const set = (checked) => { boxes.forEach((box) => { box.checked = checked; }); count(); };
    form.addEventListener("click", (event) => {
      const box = event.target;
      if (boxes.includes(box)) {
        if (event.shiftKey && last) {
          const [from, to] = [boxes.indexOf(last), boxes.indexOf(box)].sort((a, b) => a - b);
          boxes.slice(from, to + 1).forEach((other) => { other.checked = box.checked; });
        }
        last = box;
        count();
        return;
      }
      const choice = event.target.closest("[data-select]");
      if (choice && !matching) {
        event.preventDefault();
        set(choice.dataset.select === "page");
        const menu = choice.closest("details");
        menu.open = false;
        menu.querySelector("summary").focus();
      }
      const off = event.target.closest("button[aria-disabled=true]");
      if (off) event.preventDefault();
    });
    each("[data-all]", (all) => all.addEventListener("change", () => set(all.checked)), form);
    count();
  }

  // ---- a row that is saved at once: what arrows pass on the way is no choice; the last one is, when they rest or leave
  const REST = 600;
  let passing = 0;
  document.addEventListener("keydown", (event) => {
    const set = event.target.closest?.("fieldset.three");
    if (set && event.key.startsWith("Arrow")) set.dataset.arrows = "yes";
  });
  function chosen(set) {
    clearTimeout(passing);
    if (!set.dataset.arrows) return;
    delete set.dataset.arrows;
    const radio = set.querySelector("input[type=radio]:checked");
    if (radio && radio.value !== set.querySelector("input[type=hidden]").value) radio.dispatchEvent(new Event("change", { bubbles: true }));
  }
  document.addEventListener("change", (event) => {
    const set = event.target.closest?.("fieldset.three");
    if (!set?.dataset.arrows) return;
    event.stopPropagation();
    clearTimeout(passing);
    passing = setTimeout(() => chosen(set), REST);
  }, true);
  document.addEventListener("focusout", (event) => {
    const set = event.target.closest?.("fieldset.three");
    if (set?.dataset.arrows && !set.contains(event.relatedTarget)) chosen(set);
  });

  // ---- a form that counts what is not saved, and warns who leaves
  function unsaved() {
    const form = document.querySelector("form[data-unsaved]");
    if (!form || form.dataset.ready) return;
    form.dataset.ready = "yes";
    const said = form.querySelector("[data-unsaved-count]");
    // What a rejected form holds again was typed, though it is how the page came.
    const rejected = form.querySelector("[aria-invalid=true]") !== null;
    // What holds, where the form says so: one that comes back holds what was typed.
    const shown = form.querySelector("[data-shown]");
    const held = shown ? JSON.parse(shown.value) : {};
    const now = (field) => (field.type !== "checkbox" ? field.value : field.checked ? "yes" : "no");
    let leaving = false;
    const changed = () => [...form.elements].filter((field) => {
      if (field.type === "hidden") return false;
      if (field.name in held) return (field.type !== "radio" || field.checked) && now(field) !== held[field.name];
      // Of radio buttons only the one that is chosen now: a change is one change.
      if (field.type === "radio") return field.checked && !field.defaultChecked;
      if (field.type === "checkbox") return field.checked !== field.defaultChecked;
      // Of a list without a chosen entry the first one is.
      if (field.tagName === "SELECT") {
        return field.selectedIndex !== Math.max([...field.options].findIndex((option) => option.defaultSelected), 0);
      }
      return "defaultValue" in field && field.value !== field.defaultValue;
    }).length;
    const count = () => {
      const n = changed();
      said.textContent = n === 0 ? "" : n === 1 ? said.dataset.one : said.dataset.many.replace("%n", n);
    };
    form.addEventListener("input", count);
    form.addEventListener("submit", () => { leaving = true; });
    form.addEventListener("click", (event) => { if (event.target.closest("[data-discard]")) leaving = true; });
    window.addEventListener("beforeunload", (event) => {
      if (!leaving && form.isConnected && (rejected || changed())) event.preventDefault();
    });
    // Who comes back finds what was typed, put in again by the browser.
    window.addEventListener("pageshow", () => { leaving = false; if (!rejected && changed()) count(); });
    if (!rejected && changed()) count();
  }

  // ---- toasts leave after a minute, unless somebody is at them
  function toast() {
    const one = document.querySelector("#toast .toast");
    if (!one || one.dataset.timed) return;
    one.dataset.timed = "yes";
    const leave = () => { if (one.matches(":hover, :focus-within")) setTimeout(leave, 2000); else one.remove(); };
    setTimeout(leave, one.querySelector("form") ? 60000 : 8000);
  }

  // ---- the live log: the view follows only while it is at the foot, and if wanted
  let atFoot = true;
  const lines = () => document.getElementById("live-lines");
  function beforeLines() {
    const log = lines();
    if (log) atFoot = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  }
  function afterLines() {
    const log = lines();
    if (!log) return;
    const follow = document.getElementById("follow");
    if (!atFoot || (follow && !follow.checked)) return;
    // Old lines go at the head only while nobody reads there; the whole log stays one click away.
    const list = log.querySelector("ol");
    while (list.children.length > 1500) list.firstElementChild.remove();
    log.scrollTop = log.scrollHeight;
  }
  document.addEventListener("change", (event) => {
    if (event.target.id !== "follow") return;
    atFoot = true;
    afterLines();
  });

  // ---- a chart too wide for the window shows its newest end
  each(".wrap:has(> .chart.half)", (frame) => { frame.scrollLeft = frame.scrollWidth; });

  // ---- progress is spoken at most every ten seconds
  let spoken = "";
  setInterval(() => {
    const bar = document.getElementById("slot-bar");
    const place = document.getElementById("spoken");
    const text = bar ? bar.getAttribute("aria-valuetext") : "";
    if (place && text !== spoken) place.textContent = spoken = text;
  }, 10000);

  // ---- where the focus goes: never to the head of the page once something was done
  const first = (ids) => (ids || "").split(" ").map((id) => id && document.getElementById(id)).find(Boolean);
  function focusOn(place) {
    if (!place) return;
    if (!place.matches("a, button, input, select, textarea, summary")) place.tabIndex = -1;
    place.focus();
  }
  // After an undo, which puts the main part in place as a whole: where things are as before
  function refocus() {
    const there = first(document.querySelector("#toast [data-focus]")?.dataset.focus);
    focusOn(there?.querySelector("input:checked") || there || document.querySelector("main .said, main h2"));
  }
  document.addEventListener("htmx:afterSettle", (event) => { if (event.detail.elt.id === "main") { ready(); refocus(); } });
  // A page that answers a form: at what it says of that, at what it offers to undo, else at its heading
  const ACTED = "autossl-acted";
  const acted = (form, byKeyboard) => sessionStorage.setItem(ACTED, JSON.stringify({ focus: form?.dataset.focus, byKeyboard }));
  document.addEventListener("submit", (event) => {
    if (!event.defaultPrevented && event.target.method === "post") acted(event.target, event.submitter?.matches(":focus-visible"));
  });
  document.addEventListener("htmx:beforeOnLoad", (event) => { if (event.detail.xhr.getResponseHeader("HX-Redirect")) acted(null, false); });
  function land() {
    const done = JSON.parse(sessionStorage.getItem(ACTED));
    sessionStorage.removeItem(ACTED);
    // An address that names a place on the page is the browser's to go to.
    if (location.hash.length > 1) return;
    const at = document.activeElement;
    // Whoever is somewhere already, before this has run, stays there.
    if (at !== document.body && !at.matches("[autofocus]")) return;
    const toast = document.querySelector("#toast [data-focus]:not([data-focus=''])");
    if (toast) { refocus(); return; }
    // A field that asks for it comes first.
    if (at !== document.body || document.querySelector("body > :not(dialog) [autofocus]")) return;
    const said = document.querySelector("main .said");
    const place = said || (done && (first(done.focus) || document.querySelector("#toast .toast") || document.querySelector("main h2, main h1")));
    place?.classList.toggle("calm", !done?.byKeyboard);
    focusOn(place);
  }
  land();
  // A toast that leaves hands the focus back.
  function handBack(toast) {
    if (toast.contains(document.activeElement)) focusOn(first(toast.dataset.back) || document.querySelector("main h2, main h1"));
  }
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { target, shouldSwap } = event.detail;
    if (shouldSwap && target.matches(".toast")) handBack(target);
  });

  document.addEventListener("htmx:beforeSwap", beforeLines);
  document.addEventListener("htmx:afterSwap", afterLines);
  document.addEventListener("htmx:afterSettle", toast);
  document.addEventListener("htmx:oobAfterSwap", toast);
  document.addEventListener("htmx:afterSwap", (event) => {
    const dialog = event.detail.target;
    if (dialog.id === "dialog" && !dialog.open) dialog.showModal();
  });

  // ---- a row's details open below it; the link leads to their page where there is no script
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-detail]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const row = document.getElementById(link.dataset.detail);
    row.hidden = !row.hidden;
    link.setAttribute("aria-expanded", String(!row.hidden));
    if (row.hidden || row.dataset.loaded) return;
    row.dataset.loaded = "yes";
    htmx.ajax("GET", link.getAttribute("href"), { target: row.firstElementChild, swap: "innerHTML" });
  });
  const details = () => each("a[data-detail]:not([aria-expanded])", (link) => {
    link.setAttribute("aria-expanded", "false");
    link.setAttribute("aria-controls", link.dataset.detail);
  });

  // ---- what is to be copied; the button says so for two seconds, in its own width
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const place = button.dataset.copy === "all" ? button.closest("[data-copies]") : button.closest(".rec");
    const text = [...place.querySelectorAll(".rec.to code")].map((code) => code.textContent).join("\n");
    const word = button.querySelector("span");
    button.dataset.word ||= word.textContent;
    button.style.minWidth = `${button.offsetWidth}px`;
    try {
      await navigator.clipboard.writeText(text);
      word.textContent = document.body.dataset.copied;
    } catch {
      // No leave, or no TLS: the line is selected instead, for the keyboard to copy.
      const range = document.createRange();
      range.selectNodeContents(place.querySelector(".rec.to code"));
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      return;
    }
    setTimeout(() => { word.textContent = button.dataset.word; }, 2000);
  });
  // From here on these buttons do what they say, so that they may be seen.
  document.documentElement.dataset.scripted = "";

  // ---- keep what is: a dialog's own way back closes it
  document.addEventListener("click", (event) => {
    const keep = event.target.closest("[data-keep]");
    const dialog = keep?.closest("dialog");
    if (!dialog?.open) return;
    event.preventDefault();
    dialog.close();
  });

  function ready() {
    each("form:has(.bulk):not([data-ready])", selection);
    details();
    unsaved();
    toast();
  }
  ready();
  // What has ended is read from its head
  if (document.getElementById("live")) afterLines();
})();
