"use strict";
// The inbox, live: the page fetches itself when the server says that something changed, rings and counts in the title,
// keeps what is being typed whatever happens, and works with the keyboard alone. Without this file all is plain forms.
(() => {
  const root = document.querySelector("[data-inbox]");
  if (!root) return;
  const texts = JSON.parse(root.dataset.texts);
  const csrf = document.querySelector("main").dataset.csrf;
  const conversation = root.dataset.conversation || "";
  const ACTIVE_EVERY = 60000; // ms: the advisor is at work, the conversation isn't taken back meanwhile
  const $ = (id) => document.getElementById(id);
  const stored = (key) => {
    try {
      return localStorage.getItem(key);
    } catch {
      return null;
    }
  };
  const store = (key, value) => {
    try {
      localStorage.setItem(key, value);
    } catch {
      // Storage is off: it holds until the page is left.
    }
  };

  // --- Switches: sound, single keys ------------------------------------------------------------------------------
  function toggle(button, key, on, off) {
    let value = stored(key) !== "0";
    const show = () => {
      button.textContent = value ? on : off;
      button.setAttribute("aria-pressed", String(value));
    };
    button.hidden = false;
    button.addEventListener("click", () => {
      value = !value;
      store(key, value ? "1" : "0");
      show();
    });
    show();
    return () => value;
  }
  const sound = toggle($("am-bao"), "motcua:sound", texts.sound_on, texts.sound_off);
  const keysOn = toggle($("phim-tat"), "motcua:keys", texts.keys_on, texts.keys_off);

  let audio = null;
  function ring() {
    $("tin-moi").textContent = "";
    setTimeout(() => ($("tin-moi").textContent = texts.news), 50);
    root.dataset.rang = String(Number(root.dataset.rang || 0) + 1);
    if (!sound() || !window.AudioContext) return;
    audio = audio || new AudioContext();
    [660, 880].forEach((pitch, number) => {
      const tone = audio.createOscillator();
      const volume = audio.createGain();
      const at = audio.currentTime + number * 0.18;
      tone.frequency.value = pitch;
      volume.gain.setValueAtTime(0.0001, at);
      volume.gain.exponentialRampToValueAtTime(0.2, at + 0.02);
      volume.gain.exponentialRampToValueAtTime(0.0001, at + 0.17);
      tone.connect(volume).connect(audio.destination);
      tone.start(at);
      tone.stop(at + 0.18);
    });
  }

  // --- Live ------------------------------------------------------------------------------------------------------
  const title = document.title;
  function count(counts) {
    const waiting = counts.waiting + counts.held;
    document.title = waiting ? `(${waiting}) ${title}` : title;
    for (const box of document.querySelectorAll("[data-count]")) box.textContent = counts[box.dataset.count];
  }
  count(Object.fromEntries([...document.querySelectorAll("[data-count]")].map((box) => [box.dataset.count, Number(box.textContent)])));

  // What was asked for once (a draft in the field, a word that it is done) is not asked for again.
  const query = new URLSearchParams(location.search);
  for (const once of ["said", "use", "template"]) query.delete(once);
  const address = location.pathname + (query.size ? `?${query}` : "");
  history.replaceState(history.state, "", address + location.hash);

  // A message that is on its way is looked after until it has arrived.
  let pendingTimer = 0;
  function lookAgain() {
    clearTimeout(pendingTimer);
    if (document.querySelector("#tin [data-pending]")) pendingTimer = setTimeout(refresh, 3000);
  }
  lookAgain();

  let fetching = false;
  let again = false;
  async function refresh() {
    if (root.dataset.paged !== undefined) return; // who reads older ones is left in peace
    if (fetching) {
      again = true;
      return;
    }
    fetching = true;
    try {
      const response = await fetch(address);
      if (!response.ok || response.redirected) return;
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      for (const old of document.querySelectorAll("[data-live]")) {
        const fresh = page.getElementById(old.id);
        if (fresh) swap(old, document.adoptNode(fresh));
      }
      const form = page.getElementById("o-tra-loi");
      if (form && !$("o-tra-loi")) {
        $("goi-y").after(document.adoptNode(form));
        answering();
      }
    } catch {
      // The stream says when the connection is back.
    } finally {
      fetching = false;
      lookAgain();
      if (again) {
        again = false;
        refresh();
      }
    }
  }

  function swap(old, fresh) {
    if (old.innerHTML === fresh.innerHTML) return;
    // An answer that is being edited stays as it was typed, and the focus where it was.
    for (const area of old.querySelectorAll("textarea")) {
      const same = area.id && fresh.querySelector("#" + CSS.escape(area.id));
      if (same && area.value !== area.defaultValue) same.value = area.value;
      else if (!same && area.value !== area.defaultValue) keepAside(area.value);
    }
    const focused = old.contains(document.activeElement) ? document.activeElement : null;
    const mark = focused && (focused.id ? "#" + CSS.escape(focused.id) : focused.getAttribute("href") ? `[href="${CSS.escape(focused.getAttribute("href"))}"]` : "");
    const place = focused && "selectionStart" in focused ? [focused.selectionStart, focused.selectionEnd] : null;
    const bottom = old.scrollHeight - old.scrollTop - old.clientHeight < 60;
    old.replaceWith(fresh);
    if (bottom) fresh.scrollTop = fresh.scrollHeight;
    const next = mark && fresh.querySelector(mark);
    if (next) {
      next.focus({ preventScroll: true });
      if (place && next.setSelectionRange) next.setSelectionRange(...place);
    }
  }

  // An edit of a held answer that somebody else settled meanwhile: what was typed goes into the answer field.
  function keepAside(text) {
    sessionStorage.setItem(KEEP, JSON.stringify({ text, key: "" }));
    if ($("tra-loi") && !$("tra-loi").value) $("tra-loi").value = text;
  }

  let failures = 0;
  function listen() {
    const stream = new EventSource("/staff/inbox/stream" + (conversation ? `?conversation=${conversation}` : ""));
    stream.addEventListener("open", () => {
      if (failures) refresh();
      failures = 0;
      $("noi-lai").textContent = "";
      root.dataset.live = "1";
    });
    stream.addEventListener("message", (event) => {
      const news = JSON.parse(event.data);
      count(news.counts);
      if (news.changed) refresh();
      if (news.ring) ring();
    });
    stream.addEventListener("expired", () => {
      stream.close();
      signInAgain($("noi-lai"));
    });
    stream.addEventListener("error", () => {
      failures += 1;
      if (failures > 2) $("noi-lai").textContent = texts.offline;
      if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 1000 * Math.min(30, 2 ** failures));
    });
    window.addEventListener("pagehide", () => stream.close());
  }
  listen();
  window.addEventListener("pageshow", (event) => event.persisted && listen());

  function signInAgain(box) {
    box.textContent = texts.expired + " ";
    const link = document.createElement("a");
    link.href = "/staff/sign-in?next=" + encodeURIComponent(location.pathname);
    link.textContent = texts.sign_in;
    box.append(link);
  }

  // --- Answering -------------------------------------------------------------------------------------------------
  const KEEP = "motcua:inbox:" + conversation;
  const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(12)), (n) => n.toString(16).padStart(2, "0")).join("");

  function answering() {
    const form = $("o-tra-loi");
    if (!form) return;
    const area = $("tra-loi");
    const problem = $("chua-gui");
    const button = form.querySelector("button[type=submit]");
    let lastActive = 0;
    const keep = () => {
      try {
        if (area.value.trim()) sessionStorage.setItem(KEEP, JSON.stringify({ text: area.value, key: form.key.value }));
        else sessionStorage.removeItem(KEEP);
      } catch {
        // Storage is off.
      }
    };
    try {
      const kept = JSON.parse(sessionStorage.getItem(KEEP));
      if (kept && !area.value) {
        area.value = kept.text;
        if (kept.key) form.key.value = kept.key;
      }
    } catch {
      // Nothing kept.
    }
    const put = (text) => {
      area.value = area.value.trim() && !area.value.startsWith("/") ? `${area.value.trimEnd()}\n${text}` : text;
      area.focus();
      keep();
      canned();
    };
    form.put = put;

    function canned() {
      const list = $("cau-mau");
      if (!list) return;
      const typed = /^\/([\w-]*)$/.exec(area.value);
      if (typed) list.closest("details").open = true;
      for (const item of list.children) {
        const shortcut = item.querySelector("[data-shortcut]").dataset.shortcut;
        item.hidden = Boolean(typed) && !shortcut.startsWith(typed[1].toLowerCase());
      }
    }

    area.addEventListener("input", () => {
      keep();
      canned();
      const now = Date.now();
      if (now - lastActive > ACTIVE_EVERY) {
        lastActive = now;
        fetch(`/staff/inbox/${conversation}/active`, { method: "POST", headers: { "x-csrf-token": csrf, accept: "application/json" } }).catch(() => {});
      }
    });
    area.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        form.requestSubmit();
      } else if ((event.key === "Enter" || event.key === "Tab") && /^\/[\w-]*$/.test(area.value) && $("cau-mau")) {
        const first = $("cau-mau").querySelector("li:not([hidden]) [data-canned]");
        if (!first) return;
        event.preventDefault();
        put(first.dataset.canned);
      } else if (event.key === "Escape") {
        area.blur();
      }
    });

    let sending = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const text = area.value;
      if (!text.trim() || sending) return;
      sending = true;
      button.setAttribute("aria-busy", "true");
      problem.textContent = "";
      keep();
      try {
        const body = new URLSearchParams({ text, key: form.key.value });
        const options = { method: "POST", headers: { "x-csrf-token": csrf, accept: "application/json" }, body };
        const response = await fetch(form.action, options);
        if (response.ok) {
          form.key.value = newKey();
          if (area.value === text) area.value = "";
          keep();
          refresh();
        } else if (response.status === 401) {
          signInAgain(problem);
        } else {
          problem.textContent = (await response.json()).error || texts.lost;
          refresh();
        }
      } catch {
        problem.textContent = texts.lost;
      } finally {
        sending = false;
        button.removeAttribute("aria-busy");
      }
    });
  }
  if (conversation) answering();

  root.addEventListener("click", (event) => {
    const used = event.target.closest("[data-draft], [data-canned]");
    const form = $("o-tra-loi");
    if (!used || !form || !form.put) return;
    event.preventDefault();
    form.put(used.dataset.draft || used.dataset.canned);
  });

  // --- Keys ------------------------------------------------------------------------------------------------------
  function step(by) {
    const links = [...document.querySelectorAll("#danh-sach .line")];
    if (!links.length) return;
    const at = links.indexOf(document.activeElement);
    const current = links.findIndex((link) => link.hasAttribute("aria-current"));
    const from = at >= 0 ? at : current;
    links[Math.max(0, Math.min(links.length - 1, from < 0 ? 0 : from + by))].focus();
  }
  document.addEventListener("keydown", (event) => {
    if (!keysOn() || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.target.closest("input, textarea, select")) return;
    const press = { j: () => step(1), k: () => step(-1), r: () => $("tra-loi")?.focus(), u: () => (location.href = document.querySelector("#hang-cho a").href), d: () => document.querySelector("[data-draft]")?.click() }[event.key];
    const named = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    if (!press && !named) return;
    event.preventDefault();
    if (press) press();
    else named.click();
  });

  if (conversation && root.dataset.paged === undefined && !location.hash) $("cuoi").scrollIntoView({ block: "nearest" });
})();
