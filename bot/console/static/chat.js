"use strict";
// Progressive enhancement: without this file every message is an ordinary form post.
// What was written waits in the session's storage until the server has answered. It is sent again with the same id,
// which the server recognises, so that nothing is lost and nothing is answered twice. Answers come with the post, on
// the event stream, or with the page: each has an id and is shown once.
(() => {
  const log = document.querySelector(".talk");
  const end = document.getElementById("cuoi");
  const wait = document.getElementById("cho");
  const status = document.getElementById("tinh-trang");
  const form = document.querySelector("form.say");
  const input = document.getElementById("cau-hoi");
  const photoForm = document.querySelector("form.photo");
  const photoInput = document.getElementById("anh");
  const texts = JSON.parse(log.dataset.texts);
  const path = log.dataset.path;
  const SHRINK_FROM = 3 * 2 ** 20; // bytes; a phone's photo has more pixels than a barcode needs
  const LONGEST_SIDE = 3000; // pixels
  const MOST = 8 * 2 ** 20; // bytes, the server's limit
  const TWICE = 1000; // ms within which a second tap on the same button is a slip
  const LATE = 3000; // ms of a broken stream before it is worth a word

  const each = (selector) => [...log.querySelectorAll(selector)];
  const newId = () =>
    Array.from(crypto.getRandomValues(new Uint8Array(12)), (n) => n.toString(16).padStart(2, "0")).join("");

  // --- What waits to be answered -------------------------------------------------------------------------------
  const KEY = "motcua" + path;
  const photos = new Map(); // id → picture; never stored
  let queue = [];
  const keep = () => {
    try {
      sessionStorage.setItem(KEY, JSON.stringify(queue));
    } catch {
      // Storage is off (a frame on another site, a private window): a reload loses what waits.
    }
    wait.hidden = queue.length === 0;
  };
  const kept = () => {
    try {
      return JSON.parse(sessionStorage.getItem(KEY)) || [];
    } catch {
      return [];
    }
  };

  // --- Showing -------------------------------------------------------------------------------------------------
  const shown = new Set(each("[data-id]").map((box) => Number(box.dataset.id)));
  const fresh = (name) => document.getElementById(name).content.firstElementChild.cloneNode(true);
  const atEnd = () => log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  const scrollToEnd = () => {
    log.scrollTop = log.scrollHeight;
  };
  const scrollTo = (box) => {
    log.scrollTop += box.getBoundingClientRect().top - log.getBoundingClientRect().top - 8;
  };

  function showMine(item) {
    const box = fresh("loi-ong-ba");
    box.querySelector(".text").textContent = item.photo ? texts.said_photo : item.label || item.text;
    box.dataset.message = item.id;
    log.insertBefore(box, wait);
    scrollToEnd();
  }

  function mark(item, text) {
    const box = log.querySelector(`[data-message="${CSS.escape(item.id)}"]`);
    if (!box) return;
    let note = box.querySelector(".unsent");
    if (!text) return note && note.remove();
    if (!note) {
      note = document.createElement("small");
      note.className = "unsent";
      box.append(note);
    }
    note.textContent = text;
  }

  function button(one) {
    const form = document.createElement("form");
    const button = document.createElement("button");
    button.name = "text";
    button.value = one.value;
    button.textContent = one.label;
    form.append(button);
    return form;
  }

  function show(message) {
    if (shown.has(message.id)) return;
    shown.add(message.id);
    if (!message.text && !message.image) return; // erased meanwhile
    const box = fresh("loi-tro-ly");
    box.dataset.id = message.id;
    box.querySelector(".text").textContent = message.text;
    if (message.image) {
      const picture = document.createElement("img");
      picture.className = "picture";
      picture.src = "/static/" + message.image;
      picture.alt = texts.images[message.image] || "";
      box.append(picture);
    }
    if (message.link && /^https?:\/\//.test(message.link.url)) {
      const line = fresh("lien-ket");
      const link = line.querySelector("a");
      link.href = message.link.url;
      link.prepend(message.link.label);
      box.append(line);
    }
    if (message.buttons.length) {
      const row = document.createElement("div");
      row.className = "buttons";
      row.append(...message.buttons.map(button));
      box.append(row);
    }
    const follow = atEnd();
    // An answer stands below its question, also where another question was asked meanwhile.
    const id = message.to && CSS.escape(message.to);
    const before = id ? each(`[data-message="${id}"], [data-to="${id}"]`).pop() : null;
    if (before) {
      box.dataset.to = message.to;
      before.after(box);
    } else {
      log.insertBefore(box, wait);
    }
    // A long answer is read from its beginning; who reads further up is not torn away.
    if (before && before.dataset.message) scrollTo(box);
    else if (follow) scrollToEnd();
  }

  // --- Connection ----------------------------------------------------------------------------------------------
  let offline = false;
  let stream = null;
  let streamFailures = 0;
  let lateTimer = 0;
  let wordTimer = 0;
  let after = Number(log.dataset.after);
  let wake = () => {};

  function word(text, seconds = 0) {
    clearTimeout(wordTimer);
    status.textContent = text;
    if (seconds) wordTimer = setTimeout(() => word(""), seconds * 1000);
  }

  function lost() {
    if (!offline) word(texts.offline);
    offline = true;
  }

  function back() {
    clearTimeout(lateTimer);
    if (offline) word(texts.online, 4);
    offline = false;
    wake();
  }

  // A pause that ends early when the connection is back.
  const pause = (seconds) =>
    new Promise((done) => {
      const timer = setTimeout(done, seconds * 1000);
      wake = () => {
        clearTimeout(timer);
        done();
      };
    });

  function listen() {
    stream = new EventSource(`${path}/chat/events?after=${after}`);
    stream.addEventListener("open", () => {
      streamFailures = 0;
      back();
    });
    stream.addEventListener("message", (event) => {
      const message = JSON.parse(event.data);
      after = Math.max(after, message.id);
      show(message);
      settle(message.to);
    });
    stream.addEventListener("error", () => {
      clearTimeout(lateTimer);
      if (stream.readyState === EventSource.CLOSED) {
        // The server said no (too many pages open, or it is starting): answers still come with the posts.
        setTimeout(listen, 1000 * Math.min(60, 2 ** ++streamFailures));
      } else {
        lateTimer = setTimeout(lost, LATE);
      }
    });
  }

  // --- Sending -------------------------------------------------------------------------------------------------
  function settle(id) {
    const item = queue.find((one) => one.id === id);
    if (!item) return;
    queue = queue.filter((one) => one !== item);
    photos.delete(id);
    mark(item, "");
    keep();
  }

  async function post(item) {
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), item.photo ? 90000 : 30000);
    const options = { method: "POST", headers: { Accept: "application/json" }, signal: stop.signal };
    try {
      if (item.photo) {
        const picture = photos.get(item.id);
        options.headers["Content-Type"] = picture.type || "image/jpeg";
        options.body = picture;
        return await fetch(`${path}/chat/photo?id=${item.id}`, options);
      }
      options.body = new URLSearchParams({ text: item.text, id: item.id });
      return await fetch(`${path}/chat`, options);
    } finally {
      clearTimeout(timer);
    }
  }

  // One try. Returns the seconds to wait before the next one of this message; 0: this one is settled.
  async function attempt(item, failures) {
    try {
      const response = await post(item);
      if (response.ok) {
        const answer = await response.json();
        mark(item, "");
        back();
        answer.replies.forEach(show);
        if (!answer.done) return 2;
      } else if (response.status === 429 || response.status === 503) {
        const seconds = Number(response.headers.get("Retry-After")) || 5;
        if (response.status === 429) word(texts.too_often.replace("{seconds}", seconds), seconds);
        mark(item, texts.unsent);
        return seconds;
      } else if (response.status < 500) {
        word(response.status === 413 ? texts.photo_too_large : texts.refused);
      } else {
        throw new Error(String(response.status));
      }
      settle(item.id);
      return 0;
    } catch {
      lost();
      mark(item, texts.unsent);
      return Math.min(15, 2 ** failures);
    }
  }

  let sending = false;
  async function send() {
    if (sending) return;
    sending = true;
    for (let failures = 0; queue.length; ) {
      const seconds = await attempt(queue[0], failures);
      failures = seconds && offline ? failures + 1 : 0;
      if (seconds) await pause(seconds);
    }
    sending = false;
  }

  function add(item) {
    queue.push(item);
    showMine(item);
    keep();
    scrollToEnd();
    send();
  }

  function say(text, label) {
    text = text.trim();
    if (text) add({ id: newId(), text, label });
  }

  async function smaller(file) {
    if (file.size <= SHRINK_FROM || !window.createImageBitmap) return file;
    try {
      const picture = await createImageBitmap(file);
      const scale = Math.min(1, LONGEST_SIDE / Math.max(picture.width, picture.height));
      const canvas = document.createElement("canvas");
      canvas.width = Math.round(picture.width * scale);
      canvas.height = Math.round(picture.height * scale);
      canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
      picture.close();
      const drawn = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
      return drawn && drawn.size < file.size ? drawn : file;
    } catch {
      return file; // the server says what is wrong with it
    }
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    say(input.value);
    input.value = "";
    input.focus({ preventScroll: true });
  });

  let lastTap = { value: "", at: -Infinity };
  log.addEventListener("submit", (event) => {
    event.preventDefault();
    const tapped = event.submitter;
    if (!tapped) return;
    const again = tapped.value === lastTap.value && event.timeStamp - lastTap.at < TWICE;
    lastTap = { value: tapped.value, at: event.timeStamp };
    if (!again && !queue.some((item) => item.text === tapped.value)) say(tapped.value, tapped.textContent);
  });

  photoForm.classList.add("scripted");
  photoForm.addEventListener("submit", (event) => event.preventDefault());
  photoInput.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    photoInput.click(); // by itself only the space bar does it
  });
  photoInput.addEventListener("change", async () => {
    const file = photoInput.files[0];
    photoInput.value = "";
    if (!file) return;
    const picture = await smaller(file);
    if (picture.size > MOST) return word(texts.photo_too_large);
    const id = newId();
    photos.set(id, picture);
    add({ id, photo: true });
  });

  // --- In a frame on another site --------------------------------------------------------------------------------
  if (window.parent !== window) {
    // The site around it is not known here; there is nothing in the message that it may not know.
    const close = () => window.parent.postMessage("motcua:close", "*");
    const cross = document.getElementById("dong");
    if (cross) {
      cross.hidden = false;
      cross.addEventListener("click", close);
    }
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !event.isComposing) close();
    });
    const begin = () => {
      if (document.hasFocus() && document.activeElement === document.body) input.focus({ preventScroll: true });
    };
    window.addEventListener("focus", begin);
    begin();
  }

  // --- Begin -----------------------------------------------------------------------------------------------------
  // What the page already shows is not news to a screen reader.
  log.setAttribute("aria-live", "off");
  for (const item of kept()) {
    const there = log.querySelector(`[data-message="${CSS.escape(item.id)}"]`);
    if (there && there.dataset.answered !== undefined) continue;
    if (item.photo) {
      if (!there) word(texts.photo_lost);
      continue; // taken in already: its answer comes on the stream
    }
    queue.push(item);
    if (!there) showMine(item);
  }
  keep();
  scrollToEnd();
  setTimeout(() => log.removeAttribute("aria-live"), 500);
  listen();
  send();
  window.addEventListener("online", () => {
    if (stream.readyState === EventSource.OPEN) back();
    else wake();
  });
  window.addEventListener("offline", lost);
  window.addEventListener("pagehide", () => stream.close());
  window.addEventListener("pageshow", (event) => event.persisted && listen());
})();
