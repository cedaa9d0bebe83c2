"use strict";
// Progressive enhancement: without this file every message is an ordinary form post.
(function () {
  const talk = document.querySelector(".talk");
  const end = document.getElementById("cuoi");
  const form = document.querySelector("form.say");
  const input = document.getElementById("cau-hoi");
  let chain = Promise.resolve();

  function bubble(kind, text) {
    const box = document.createElement("div");
    box.className = "bubble " + kind;
    const line = document.createElement("p");
    line.className = "text";
    line.textContent = text;
    box.append(line);
    talk.insertBefore(box, end);
    end.scrollIntoView({ block: "end" });
    return box;
  }

  function show(reply) {
    const box = bubble("bot", reply.text);
    if (!reply.buttons || !reply.buttons.length) return box;
    const row = document.createElement("div");
    row.className = "buttons";
    for (const one of reply.buttons) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = one.label;
      button.addEventListener("click", () => say(one.value, one.label));
      row.append(button);
    }
    box.append(row);
    return box;
  }

  async function send(text, id) {
    const body = new URLSearchParams({ text, id });
    for (let attempt = 0; ; attempt++) {
      try {
        const response = await fetch("/chat", { method: "POST", body, headers: { Accept: "application/json" } });
        if (response.ok) return (await response.json()).replies;
        if (response.status < 500) return [{ text: "Tin nhắn chưa gửi được. Ông/bà tải lại trang rồi thử lại giúp." }];
      } catch (error) {
        if (attempt === 0) console.warn(error);
      }
      // The id stays the same, so a repeat is recognised and answered once.
      if (attempt >= 4) return [{ text: "Mạng đang chập chờn, tin nhắn chưa gửi được. Ông/bà thử lại sau ít phút." }];
      await new Promise((done) => setTimeout(done, 500 * 2 ** attempt));
    }
  }

  function say(text, label) {
    text = text.trim();
    if (!text) return;
    bubble("me", label || text);
    const wait = bubble("bot wait", "…");
    const id = Array.from(crypto.getRandomValues(new Uint8Array(12)), (n) => n.toString(16).padStart(2, "0")).join("");
    chain = chain.then(async () => {
      const replies = await send(text, id);
      wait.remove();
      const first = replies.map(show)[0];
      // A long answer is read from its beginning.
      if (first) first.scrollIntoView({ block: "start" });
      input.focus({ preventScroll: true });
    });
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    say(input.value);
    input.value = "";
  });
  talk.addEventListener("submit", (event) => {
    event.preventDefault();
    const button = event.submitter;
    if (button) say(button.value, button.textContent);
  });
  end.scrollIntoView({ block: "end" });
})();
