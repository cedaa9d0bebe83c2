"use strict";
// One script tag on a commune's own site puts a round button there, which opens the office's chat in a frame.
// Everything lives in a shadow tree with a style sheet of its own: neither site's styles reach the other, and a site
// that allows no inline styles has nothing to forbid. The site must allow this office in script-src and frame-src.
(() => {
  const script = document.currentScript;
  if (!script || document.querySelector("[data-motcua]")) return;
  const origin = new URL(script.src).origin;
  const texts = {{ texts | tojson }};
  const CSS_TEXT = `
    :host { all: initial; }
    .open, .frame { position: fixed; right: 16px; z-index: 2147483000; }
    .open { bottom: 16px; width: 60px; height: 60px; padding: 0; border: 0; border-radius: 50%; background: #0b5c8a;
      color: #fff; cursor: pointer; box-shadow: 0 2px 10px rgb(0 0 0 / .35); }
    .open:hover { background: #084a70; }
    .open:focus-visible { outline: 3px solid #fff; outline-offset: 0; box-shadow: 0 0 0 6px #1b2733; }
    .open svg { width: 32px; height: 32px; display: block; margin: auto; }
    .open .shut, .open[aria-expanded="true"] .shown { display: none; }
    .open[aria-expanded="true"] .shut { display: block; }
    .frame { bottom: 88px; width: min(400px, calc(100vw - 32px)); height: min(640px, calc(100vh - 104px)); border: 0;
      border-radius: 14px; box-shadow: 0 6px 30px rgb(0 0 0 / .35); background: #eef3f7; }
    .frame[hidden] { display: none; }
    @media (max-width: 480px), (max-height: 480px) {
      .frame { inset: 0; width: 100%; height: 100%; border-radius: 0; }
      .open[aria-expanded="true"] { display: none; }
    }
    @media print { .open, .frame { display: none; } }`;

  function start() {
    if (document.querySelector("[data-motcua]")) return;
    const host = document.createElement("div");
    host.dataset.motcua = "";
    const root = host.attachShadow({ mode: "open" });
    try {
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(CSS_TEXT);
      root.adoptedStyleSheets = [sheet];
    } catch {
      // Browsers before 2023.
      const style = document.createElement("style");
      style.textContent = CSS_TEXT;
      root.append(style);
    }
    const button = document.createElement("button");
    button.type = "button";
    button.className = "open";
    button.append(
      drawing("shown", "M4 5h16v11H10l-4.5 4V16H4z M8 9h8 M8 12h5"),
      drawing("shut", "M6 6l12 12 M18 6L6 18"),
    );
    root.append(button);
    let frame = null;
    let open = false;

    function set(wanted) {
      open = wanted;
      if (open && !frame) {
        // Loaded only when it is asked for.
        frame = document.createElement("iframe");
        frame.className = "frame";
        frame.title = texts.title;
        frame.src = origin + {{ page | tojson }};
        // The page that has arrived is not told that the frame has the focus already.
        frame.addEventListener("load", () => {
          if (root.activeElement !== frame) return;
          frame.blur();
          frame.focus();
        });
        root.append(frame);
      }
      if (frame) frame.hidden = !open;
      button.setAttribute("aria-expanded", String(open));
      button.setAttribute("aria-label", open ? texts.close : texts.open);
      if (open) frame.focus();
      else if (frame) button.focus();
    }

    button.addEventListener("click", () => set(!open));
    root.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && open) set(false);
    });
    // Keys pressed inside the frame are seen only there; it tells us.
    window.addEventListener("message", (event) => {
      if (event.origin === origin && frame && event.source === frame.contentWindow && event.data === "motcua:close") {
        set(false);
      }
    });
    set(false);
    document.body.append(host);
  }

  function drawing(name, path) {
    const space = "http://www.w3.org/2000/svg";
    const picture = document.createElementNS(space, "svg");
    picture.setAttribute("class", name);
    picture.setAttribute("viewBox", "0 0 24 24");
    picture.setAttribute("aria-hidden", "true");
    const line = document.createElementNS(space, "path");
    for (const [key, value] of Object.entries({ d: path, fill: "none", stroke: "currentColor", "stroke-width": "2" })) {
      line.setAttribute(key, value);
    }
    picture.append(line);
    return picture;
  }

  if (document.body) start();
  else document.addEventListener("DOMContentLoaded", start);
})();
