// Passkeys: what the server asks is handed to the browser, what the browser answers goes into the form.
"use strict";
(() => {
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const known = (list) => (list || []).map((one) => ({ ...one, id: bytes(one.id) }));

  async function use({ publicKey }) {
    const wish = { ...publicKey, challenge: bytes(publicKey.challenge), allowCredentials: known(publicKey.allowCredentials) };
    const made = await navigator.credentials.get({ publicKey: wish });
    const { authenticatorData, clientDataJSON, signature, userHandle } = made.response;
    return {
      authenticatorData: text(authenticatorData), clientDataJSON: text(clientDataJSON), signature: text(signature),
      ...(userHandle ? { userHandle: text(userHandle) } : {}), made,
    };
  }

  async function make({ publicKey }) {
    const wish = {
      ...publicKey, challenge: bytes(publicKey.challenge), user: { ...publicKey.user, id: bytes(publicKey.user.id) },
      excludeCredentials: known(publicKey.excludeCredentials),
    };
    const made = await navigator.credentials.create({ publicKey: wish });
    const { attestationObject, clientDataJSON } = made.response;
    return { attestationObject: text(attestationObject), clientDataJSON: text(clientDataJSON), made };
  }

  function as_json({ made, ...response }) {
    const { id, type, authenticatorAttachment } = made;
    return JSON.stringify({
      id, rawId: text(made.rawId), type, response, clientExtensionResults: made.getClientExtensionResults(),
      ...(authenticatorAttachment ? { authenticatorAttachment } : {}),
    });
  }

  async function ask(form) {
    const answer = await fetch(form.dataset.options, { method: "POST", body: new FormData(form), redirect: "error" });
    if (!answer.ok) throw new Error(answer.status);
    return answer.json();
  }

  document.querySelectorAll("form[data-passkey]").forEach((form) => {
    // Sent before this has run, a form would say that there is no passkey.
    form.querySelectorAll("button[disabled]").forEach((button) => { button.disabled = false; });
    if (!window.PublicKeyCredential) return;
    const act = form.dataset.passkey === "make" ? make : use;
    const place = form.querySelector("[role=alert]");
    const say = (words) => { place.textContent = words; place.hidden = !words; };
    if (form.hidden) {
      form.hidden = false;
      // Whoever is somewhere already, before this has run, stays there.
      const at = document.activeElement;
      if (at === document.body || at.autofocus && !at.value) form.querySelector("[data-focus]")?.focus();
    }
    form.addEventListener("submit", async (event) => {
      if (form.elements.credential.value) return;
      event.preventDefault();
      say("");
      let options;
      try { options = await ask(form); } catch { return say(form.dataset.failed); }
      try {
        form.elements.credential.value = as_json(await act(options));
      } catch (error) {
        return say(error.name === "InvalidStateError" && form.dataset.known || form.dataset.cancelled);
      }
      form.submit();
    });
    // A page that the browser brings back does not send an old answer once more.
    window.addEventListener("pageshow", () => { form.elements.credential.value = ""; });
  });
})();
