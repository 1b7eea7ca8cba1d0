// Tells the server the browser's time zone. A page whose times are in another one, since the zone has changed, is shown again.
"use strict";
(() => {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  const told = `autossl_zone=${zone}`;
  const known = () => document.cookie.split("; ").includes(told);
  if (known()) return;
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `${told}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
  // Only pages that were asked for say so, never the answer to a form; and not where no cookie is kept.
  if (known() && "zone" in document.body.dataset) location.reload();
})();
