// What every page does while a request is under way, and when one fails: nothing is sent twice, nothing is lost in silence.
"use strict";
(() => {
  const OWN = "button, a, form";
  const place = document.getElementById("trouble");
  if (!place) return;
  const words = place.dataset;

  // ---- a form that is on its way is not sent again; its button shows it, in its own width
  let sent = null;
  function busy(form, button) {
    sent = form;
    button?.classList.add("busy");
    button?.setAttribute("aria-disabled", "true");
    setTimeout(say, 400);
    // Where a file came instead of a page, nothing else tells that the answer is here.
    setTimeout(rest, 30000);
  }
  function rest() {
    document.querySelectorAll(".busy").forEach((button) => { button.classList.remove("busy"); button.removeAttribute("aria-disabled"); });
    sent = null;
  }
  function say() {
    const spoken = document.getElementById("spoken");
    if (sent && spoken) spoken.textContent = words.working;
  }
  document.addEventListener("submit", (event) => {
    if (event.defaultPrevented) return;
    if (sent || event.submitter?.getAttribute("aria-disabled") === "true") { event.preventDefault(); return; }
    if (event.target.method !== "dialog") busy(event.target, event.submitter);
  });
  window.addEventListener("pageshow", rest);
  // Asked whether to leave what is not saved, a person may stay: then nothing is on its way.
  window.addEventListener("beforeunload", (event) => { if (event.defaultPrevented) setTimeout(rest); });

  // ---- htmx: a second click on what is under way does nothing
  document.addEventListener("htmx:confirm", (event) => {
    const { elt, verb } = event.detail;
    if (verb !== "get" && elt.matches(OWN) && elt.classList.contains("htmx-request")) event.preventDefault();
  });

  // ---- what somebody is pressing stays until they let go: replaced in between, it would lose the click. A poll's answer that
  // comes meanwhile is left out; the next one brings the same.
  let held = false;
  const hold = (on) => () => { held = on; };
  document.addEventListener("pointerdown", hold(true), true);
  for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, hold(false), true);
  document.addEventListener("keydown", (event) => { if (event.key === " ") held = true; }, true);
  document.addEventListener("keyup", (event) => { if (event.key === " ") held = false; }, true);
  // Where it was let go of elsewhere, over a menu of the system's own, nobody was told.
  document.addEventListener("pointermove", (event) => { if (!event.buttons) held = false; }, true);
  window.addEventListener("blur", hold(false));
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (held && polls(event.detail.requestConfig.elt)) event.detail.shouldSwap = false;
  });

  // ---- trouble: told in words, over what is seen and moving none of it, with a way on
  const told = { alert: place.querySelector("[role=alert]"), status: place.querySelector("[role=status]") };
  const acts = { again: place.querySelector("[data-again]"), signIn: place.querySelector("[data-sign-in]"), reload: place.querySelector("[data-reload]") };
  let last = null;
  let over = false;
  // What a page leaves unfinished when it is left did not fail.
  let leaving = false;
  window.addEventListener("beforeunload", () => { leaving = true; setTimeout(() => { leaving = false; }, 2000); });

  function cause(kind, status) {
    if (kind === "htmx:timeout") return words.slow;
    if (kind === "htmx:sendError" || !status) return words.offline;
    return { 401: words.session, 403: words.older, 404: words.gone, 413: words.large }[status] || (status < 500 ? words.refused : words.error);
  }
  const polls = (elt) => (elt.getAttribute("hx-trigger") || "").includes("every");
  function show(detail, kind) {
    const status = kind === "htmx:responseError" ? detail.xhr.status : 0;
    const { elt, requestConfig } = detail;
    const poll = polls(elt), saved = requestConfig.verb !== "get";
    over ||= status === 401;
    // What was not saved weighs more than a page that stands still.
    if (poll && last && !last.poll) { offer(status, detail.xhr); return; }
    last = { elt, poll, verb: requestConfig.verb, path: requestConfig.path, undo: saved ? takeBack(elt) : null };
    const about = saved ? elt.querySelector?.("legend")?.textContent : "";
    const what = poll ? words.still : saved ? words.unsaved : "";
    const text = [what, about && `${about}.`, cause(kind, status)].filter(Boolean).join(" ");
    const [now, other] = poll ? [told.status, told.alert] : [told.alert, told.status];
    other.textContent = "";
    // Said once, not at every poll that fails.
    if (now.textContent !== text) now.textContent = text;
    offer(status, detail.xhr);
    place.classList.add("on");
  }
  function offer(status, xhr) {
    acts.signIn.hidden = !over;
    acts.signIn.href = `${xhr.getResponseHeader("X-Sign-In") || "/"}?next=${encodeURIComponent(location.pathname + location.search)}`;
    acts.reload.hidden = status !== 403 && status !== 404;
    acts.again.hidden = !acts.reload.hidden || status === 413;
  }
  function hide() {
    last = null;
    over = false;
    place.classList.remove("on");
    told.alert.textContent = told.status.textContent = "";
  }

  // The page never shows what is not so: a radio that was not saved goes back, and comes again with Try again.
  function takeBack(elt) {
    const fieldset = elt.closest?.("fieldset.three");
    if (!fieldset) return null;
    const was = fieldset.querySelector("input[type=hidden]").value;
    const radios = [...fieldset.querySelectorAll("input[type=radio]")];
    const wanted = radios.find((radio) => radio.checked);
    radios.forEach((radio) => { radio.checked = radio.value === was; });
    return () => { if (wanted) wanted.checked = true; };
  }
  function again() {
    if (!last || !document.body.contains(last.elt)) { location.reload(); return; }
    const { elt, verb, path, undo } = last;
    over = false;
    undo?.();
    htmx.ajax(verb.toUpperCase(), path, { source: elt });
  }

  for (const kind of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(kind, (event) => { if (!leaving) show(event.detail, kind); });
  }
  // After the end of the session every poll would only be refused.
  document.addEventListener("htmx:beforeRequest", (event) => { if (over && polls(event.detail.elt)) event.preventDefault(); });
  document.addEventListener("htmx:afterOnLoad", (event) => {
    if (!last || event.detail.xhr.status >= 400) return;
    if (last.elt === event.detail.elt || (last.poll && polls(event.detail.elt))) hide();
  });
  acts.again.addEventListener("click", again);
  acts.reload.addEventListener("click", () => location.reload());
  place.querySelector("[data-hide]").addEventListener("click", hide);
  document.addEventListener("keydown", (event) => { if (event.key === "Escape" && !over) hide(); });
})();
