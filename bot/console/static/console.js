// What all staff pages share: what was typed survives a closed tab or an ended session.
"use strict";
for (const area of document.querySelectorAll("textarea[data-keep]")) {
  const key = "motcua:" + area.dataset.keep;
  if (!area.value) area.value = sessionStorage.getItem(key) || "";
  area.addEventListener("input", () => sessionStorage.setItem(key, area.value));
  area.form?.addEventListener("submit", () => sessionStorage.removeItem(key));
}
