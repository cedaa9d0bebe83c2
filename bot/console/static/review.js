// One key for each act of reviewing. All of it works without script too: the keys only press what is there.
"use strict";
const KEYS_OFF = "motcua:keys-off";
const box = document.getElementById("keys");
const form = document.getElementById("judge");
if (box) {
  box.closest("label").hidden = false;
  box.checked = localStorage.getItem(KEYS_OFF) !== "1";
  box.addEventListener("change", () => localStorage.setItem(KEYS_OFF, box.checked ? "0" : "1"));
}

// While an input method composes, the key's name is unknown: then its place on the keyboard tells.
function letter(event) {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.code.replace(/^(Key|Digit)/, "").toLowerCase();
  return key === "d" ? "đ" : key;
}

function typing(target) {
  return target.closest("textarea, select, input:not([type=checkbox])") !== null;
}

function choose(code) {
  const field = form.elements.procedures;
  field.value = code;
  form.elements.ask_back.checked = false;
  if (!["ask_procedure", "due_date"].includes(form.elements.intent.value)) form.elements.intent.value = "ask_procedure";
  field.focus();
  changed = true;
}

let changed = false;
form?.addEventListener("change", () => { changed = true; });
for (const button of document.querySelectorAll("[data-code]")) {
  button.addEventListener("click", () => form && choose(button.dataset.code));
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
  if (event.key === "Escape" && typing(event.target)) { event.target.blur(); return; }
  if (event.key === "Enter" && form && event.target.matches("#name")) {
    event.preventDefault();
    form.requestSubmit(document.getElementById("add-name"));
    return;
  }
  if (event.key === "Enter" && form && event.target.matches("#procedures, #intent, .aspects input")) {
    event.preventDefault();
    form.requestSubmit(document.getElementById("wrong"));
    return;
  }
  if (typing(event.target) || localStorage.getItem(KEYS_OFF) === "1") return;
  const key = letter(event);
  const field = document.querySelector(`[data-focus="${CSS.escape(key)}"]`);
  const act = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
  if (!field && !act) return;
  event.preventDefault();
  if (field) { field.focus(); field.select?.(); return; }
  // "Sai" with nothing put right yet: first to what is to be put right.
  if (act.id === "wrong" && !changed && !form.elements.content.checked && !document.querySelector(".error")) {
    form.elements.intent.focus();
    return;
  }
  act.click();
});
