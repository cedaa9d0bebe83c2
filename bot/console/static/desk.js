// The desk: keys, the scan field, a pile of scans, the editor of notices. Without it all forms still work.
"use strict";
const csrf = document.querySelector("main")?.dataset.csrf || "";

// A key shown on the page presses what it stands on.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
  const target = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (target) { event.preventDefault(); target.click(); }
  else if (event.key === "Escape" && event.target.id === "quet") event.target.value = "";
});

// The scan field. Enter alone sets the dossier that is open, but not in the first moment: it may belong to a scan that
// began on the page before.
const scan = document.querySelector("form[data-scan]");
if (scan) {
  const field = scan.elements.code;
  let settled = !("readySoon" in scan.dataset);
  if (!settled) setTimeout(() => { settled = true; scan.dataset.ready = ""; }, 500);
  let sent = false;
  scan.addEventListener("submit", (event) => {
    if (sent || (!field.value.trim() && (!settled || !("readySoon" in scan.dataset)))) { event.preventDefault(); return; }
    sent = true; // some scanners press Enter twice
    setTimeout(() => { sent = false; }, 3000);
    field.select();
  });
  addEventListener("pageshow", (event) => { sent = false; if (event.persisted) { field.value = ""; field.focus(); } });
  field.focus();
}

// A pile: each finished line is looked up at once; what was scanned stays in the field, which is all the form sends.
const pile = document.querySelector("form[data-pile]");
if (pile) {
  const area = pile.elements.codes, list = pile.querySelector(".live"), said = pile.querySelector(".said");
  const known = new Map();
  const show = () => {
    list.replaceChildren();
    const seen = new Set();
    let ready = 0, twice = 0;
    for (const line of finished()) {
      for (const one of known.get(line) || []) {
        if (seen.has(one.code)) { twice += 1; continue; }
        seen.add(one.code);
        if (one.state === "ready") ready += 1;
        const row = document.createElement("li"), code = document.createElement("span"), told = document.createElement("span");
        row.className = one.state; code.className = "code"; code.textContent = one.code; told.textContent = one.told;
        row.append(code, told);
        list.prepend(row);
      }
    }
    said.textContent = seen.size ? `${seen.size} mã, ${ready} sẽ ghi${twice ? `, ${twice} lần quét trùng` : ""}.` : "";
  };
  const finished = () => area.value.split("\n").slice(0, -1).map((line) => line.trim()).filter(Boolean);
  const look = async () => {
    for (const line of finished()) {
      if (known.has(line)) continue;
      known.set(line, []);
      try {
        const answer = await fetch(`${pile.dataset.states}?code=${encodeURIComponent(line)}`, { headers: { accept: "application/json" } });
        if (!answer.ok) throw new Error(answer.status === 401 ? "Phiên làm việc đã hết hạn; các mã đã quét vẫn còn. Bấm «Ghi tất cả» rồi đăng nhập lại." : "Chưa xem được mã; vẫn ghi được.");
        known.set(line, await answer.json());
        show();
      } catch (error) {
        known.delete(line);
        show();
        said.textContent = error instanceof TypeError ? "Mất kết nối; các mã đã quét vẫn còn." : error.message;
        return;
      }
    }
    show();
  };
  area.addEventListener("input", look);
  area.focus();
  area.setSelectionRange(area.value.length, area.value.length);
  if (area.value && !area.value.endsWith("\n")) area.value += "\n";
  look();
}

// The editor: the number of SMS is counted here as one types, the preview comes from the server.
const editor = document.querySelector("form[data-editor]");
if (editor) {
  const counting = window.motcuaCounting(JSON.parse(editor.dataset.counting));
  const { sms, chat, segments } = editor.elements, counted = editor.querySelector(".counted");
  const name = (size) => `${size.units} ký tự (${size.encoding === "gsm7" ? "GSM-7" : "UCS-2"}) = ${size.count} tin`;
  const count = () => {
    const sent = counting.longest(sms.value), most = Number(segments.value);
    counted.classList.toggle("error", sent.count > most);
    counted.textContent = `Gửi đi: ${name(sent)} SMS, khi mã hồ sơ dài nhất${sent.count > most ? `; quá ${most} tin` : ""}. Nếu để dấu: ${name(counting.segments(sms.value.split(/\s+/).filter(Boolean).join(" ")))}.`;
  };
  const faults = document.querySelector(".faults"), told = document.querySelector(".said");
  const preview = async () => {
    try {
      const body = new URLSearchParams({ sms: sms.value, chat: chat.value, segments: segments.value });
      const answer = await fetch(editor.dataset.editor, { method: "POST", body, headers: { "x-csrf-token": csrf, accept: "application/json" } });
      const shown = await answer.json();
      if (!answer.ok) throw new Error(shown.error || "");
      document.querySelector(".preview-sms").textContent = shown.sms;
      document.querySelector(".preview-chat").textContent = shown.chat;
      faults.replaceChildren(...shown.faults.map((fault) => { const row = document.createElement("li"); row.textContent = fault; return row; }));
      told.textContent = "";
    } catch (error) {
      told.textContent = error instanceof TypeError ? "Mất kết nối; chữ đã gõ vẫn còn." : `${error.message} Chữ đã gõ vẫn còn.`;
    }
  };
  let timer;
  const typed = () => { count(); clearTimeout(timer); timer = setTimeout(preview, 400); };
  for (const field of [sms, chat, segments]) field.addEventListener("input", typed);
  count();
}
