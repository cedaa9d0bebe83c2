"use strict";
// The board: fetches the codes each minute, keeps the last ones where there is no connection, and turns its pages.
(() => {
  const EVERY = 60000;
  const AGAIN = 10000; // after a failure
  const PAGE = 12000;
  const LONG = 21; // characters of a code from which on its letters are smaller
  const LONGER = 26;
  const status = document.querySelector("[data-status]");
  const pause = document.querySelector("[data-pause]");
  let paused = false;
  const page = { ready: 0, due: 0 };

  const one = (code) => {
    const item = document.createElement("li");
    const last = document.createElement("b");
    last.textContent = code.slice(-4);
    item.append(code.slice(0, -4), last);
    fit(item);
    return item;
  };
  const fit = (item) => {
    const length = item.textContent.length;
    item.className = length > LONGER ? "longer" : length > LONG ? "long" : "";
  };
  const fill = (key, codes) => {
    const list = document.querySelector(`[data-codes="${key}"]`);
    const now = [...list.children].map((item) => item.textContent).join();
    if (now !== codes.join()) list.replaceChildren(...codes.map(one));
    document.querySelector(`[data-count="${key}"]`).textContent = codes.length;
    document.querySelector(`[data-none="${key}"]`).hidden = codes.length > 0;
  };
  // So many codes as fit are shown; on a narrow screen, which is scrolled, all of them.
  const show = (key) => {
    const list = document.querySelector(`[data-codes="${key}"]`);
    const told = document.querySelector(`[data-page="${key}"]`);
    const items = [...list.children];
    for (const item of items) item.hidden = false;
    const scrolled = getComputedStyle(list).overflowY === "visible";
    const height = Math.max(...items.map((item) => item.offsetHeight), 1);
    const room = scrolled || paused ? items.length : Math.max(1, Math.floor(list.clientHeight / height));
    const pages = Math.max(1, Math.ceil(items.length / Math.max(1, room)));
    page[key] %= pages;
    list.classList.toggle("paged", !paused && !scrolled);
    items.forEach((item, at) => {
      item.hidden = Math.floor(at / Math.max(1, room)) !== page[key];
    });
    const text = told.dataset.text.replace("{page}", page[key] + 1).replace("{pages}", pages);
    told.textContent = pages > 1 ? text : "";
  };
  const showAll = () => ["ready", "due"].forEach(show);
  const tell = (offline) => {
    status.textContent = (offline ? status.dataset.offline : status.dataset.updated).replace("{at}", status.dataset.at);
    status.classList.toggle("offline", offline);
  };
  let asked = 0;
  let next;
  const load = async () => {
    const mine = ++asked; // only the newest question's end counts
    clearTimeout(next);
    let failed = false;
    try {
      const answer = await fetch(status.dataset.news, { cache: "no-store", signal: AbortSignal.timeout(15000) });
      if (!answer.ok) throw new Error(String(answer.status));
      const codes = await answer.json();
      if (mine !== asked) return;
      fill("ready", codes.ready);
      fill("due", codes.due);
      document.querySelector("[data-day]").textContent = codes.day;
      status.dataset.at = codes.at;
    } catch {
      failed = true;
    }
    if (mine !== asked) return;
    tell(failed);
    showAll();
    next = setTimeout(load, failed ? AGAIN : EVERY);
  };
  document.querySelectorAll("[data-codes] li").forEach(fit);
  pause.hidden = false;
  const texts = [pause.textContent, pause.dataset.resume];
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = texts[Number(paused)];
    showAll();
  });
  showAll();
  next = setTimeout(load, EVERY);
  setInterval(() => {
    if (paused) return;
    page.ready += 1;
    page.due += 1;
    showAll();
  }, PAGE);
  window.addEventListener("resize", showAll);
  window.addEventListener("online", load);
  window.addEventListener("offline", () => tell(true));
})();
