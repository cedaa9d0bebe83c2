"use strict";
// The kiosk: the scanner types into the field wherever one is, nothing stays on the screen, a minute's rest leads home.
(() => {
  const START = document.getElementById("nghi").dataset.start; // of several offices each has its own
  const atStart = document.body.classList.contains("start");
  const field = document.getElementById("ma");
  const result = document.getElementById("ket-qua");
  const said = document.getElementById("loi");
  const LOOKS_LIKE_CODE = /[A-Za-z]\d{2}[\d., _-]*-?\d{6}[ -]?\d{4}/;
  let saidUntil;

  const say = (text) => {
    said.textContent = text;
    said.hidden = !text;
    clearTimeout(saidUntil);
    if (text) saidUntil = setTimeout(() => say(""), 15000);
  };
  const clear = () => {
    say("");
    for (const form of document.forms) form.reset();
    if (result) {
      result.hidden = true;
      result.querySelector("p").textContent = "";
      const survey = result.querySelector("[data-survey]");
      survey.hidden = true;
      survey.removeAttribute("href");
    }
    showKeys(null);
  };
  // Takes the place of the page: no way back to what was shown.
  const home = () => {
    clear();
    if (atStart) {
      window.scrollTo(0, 0);
      field.focus();
    } else {
      location.replace(START);
    }
  };
  const ask = async (path, body) => {
    const answer = await fetch(path, { method: "POST", body, headers: { accept: "application/json" } });
    if (!answer.ok) throw new Error(String(answer.status));
    return answer.json();
  };

  // --- the receipt -------------------------------------------------------------------------------------------------
  let asked = 0;
  const lookUp = async (code) => {
    const mine = ++asked;
    const body = new URLSearchParams({ code });
    field.value = "";
    try {
      const answer = await ask(`${START}/ho-so`, body);
      if (mine !== asked) return; // another receipt was scanned meanwhile
      result.querySelector("p").textContent = answer.text;
      const survey = result.querySelector("[data-survey]");
      survey.hidden = !answer.survey;
      if (answer.survey) survey.href = answer.survey;
      result.hidden = false;
      result.scrollIntoView({ block: "nearest" });
    } catch {
      if (mine === asked) say(said.dataset.offline);
    }
    field.focus();
  };
  if (result) {
    document.querySelector("[data-scan]").addEventListener("submit", (event) => {
      event.preventDefault();
      showKeys(null);
      if (field.value.trim()) lookUp(field.value);
    });
    result.querySelector("[data-close]").addEventListener("click", home);
    result.querySelector("[data-survey]").addEventListener("click", (event) => {
      event.preventDefault();
      const to = event.currentTarget.href;
      clear();
      location.replace(to);
    });
    // A scanner is a keyboard: what it types where nothing is focused belongs to the field.
    document.addEventListener("keydown", (event) => {
      const nowhere = document.activeElement === document.body || document.activeElement === null;
      if (nowhere && event.key.length === 1 && !event.ctrlKey && !event.altKey && !event.metaKey) field.focus();
    });
  }
  // A receipt scanned into the search is a receipt: its code goes into no address.
  for (const search of document.querySelectorAll("form[role=search]")) {
    search.addEventListener("submit", (event) => {
      const query = search.elements.q;
      if (!LOOKS_LIKE_CODE.test(query.value)) return;
      event.preventDefault();
      const code = query.value;
      query.value = "";
      if (result) lookUp(code);
      else ask(`${START}/ho-so`, new URLSearchParams({ code })).then((answer) => say(answer.text), () => say(said.dataset.offline));
    });
  }

  // --- calling and printing ----------------------------------------------------------------------------------------
  document.querySelector("[data-call]").addEventListener("submit", (event) => {
    event.preventDefault();
    ask(`${START}/goi`).then((answer) => say(answer.text), () => say(said.dataset.offline));
  });
  const print = document.querySelector("[data-print]");
  if (print) {
    print.hidden = false;
    print.addEventListener("click", () => {
      fetch(`${START}/in`, { method: "POST" }).catch(() => undefined);
      window.print();
    });
  }

  // --- the keyboard on the screen ----------------------------------------------------------------------------------
  const keys = document.getElementById("phim");
  const openers = [...document.querySelectorAll("[data-keyboard]")];
  let target = null;
  function showKeys(input) {
    if (!keys) return;
    target = input;
    keys.hidden = !input;
    for (const opener of openers) opener.setAttribute("aria-expanded", String(input?.id === opener.dataset.keyboard));
    if (input) input.closest("form").after(keys);
  }
  const type = (edit) => {
    target.value = edit(target.value).slice(0, target.maxLength);
    target.focus();
  };
  if (keys) {
    const add = (label, edit, wide) => {
      const key = document.createElement("button");
      key.type = "button";
      key.textContent = label;
      if (wide) key.className = "wide";
      key.addEventListener("click", () => type(edit));
      keys.append(key);
    };
    for (const sign of "1234567890qwertyuiopasdfghjkl.zxcvbnm-/") add(sign.toUpperCase(), (text) => text + sign);
    add(keys.dataset.delete, (text) => text.slice(0, -1));
    add(keys.dataset.space, (text) => text + " ", true);
    for (const opener of openers) {
      opener.hidden = false;
      opener.addEventListener("click", () => {
        const input = document.getElementById(opener.dataset.keyboard);
        showKeys(target === input ? null : input);
        input.focus();
      });
    }
  }

  // --- rest --------------------------------------------------------------------------------------------------------
  const rest = document.getElementById("nghi");
  const IDLE = Number(rest.dataset.idle);
  const WARN = Number(rest.dataset.warn);
  let since = Date.now();
  const used = () => {
    since = Date.now();
    rest.hidden = true;
  };
  const empty = () =>
    atStart && result.hidden && said.hidden && keys.hidden && window.scrollY === 0 &&
    [...document.querySelectorAll("input")].every((input) => !input.value);
  for (const kind of ["pointerdown", "keydown", "wheel", "touchmove", "input"]) {
    document.addEventListener(kind, used, { passive: true });
  }
  rest.querySelector("button").addEventListener("click", used);
  setInterval(() => {
    if (empty()) {
      used();
      return;
    }
    const left = IDLE - Math.floor((Date.now() - since) / 1000);
    if (left <= 0) {
      used();
      home();
    } else if (left <= WARN) {
      rest.querySelector("p").textContent = rest.dataset.text.replace("{seconds}", String(left));
      rest.hidden = false;
    }
  }, 1000);

  // What a browser keeps to go back quickly is emptied too.
  window.addEventListener("pagehide", clear);
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) home();
  });
  for (const link of document.querySelectorAll("[data-home]")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      home();
    });
  }
})();
