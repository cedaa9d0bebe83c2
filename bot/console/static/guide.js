"use strict";
// Search as one types (the list is all on the page), and the print button. Both are extras: the pages work without.
(() => {
  const fold = (text) => text.toLowerCase().normalize("NFD").replace(/[\u0300-\u036f]/g, "").replace(/đ/g, "d");
  const input = document.getElementById("tim");
  const list = document.getElementById("danh-muc");
  if (input && list) {
    const status = document.getElementById("so-luong");
    const first = status.textContent;
    const items = [...list.querySelectorAll("li[data-find]")];
    const show = () => {
      const words = fold(input.value).split(/\s+/).filter(Boolean);
      let count = 0;
      for (const item of items) {
        const found = words.every((word) => item.dataset.find.includes(word));
        item.hidden = !found;
        count += found ? 1 : 0;
      }
      for (const field of list.querySelectorAll(".field")) {
        field.hidden = !field.querySelector("li:not([hidden])");
      }
      status.textContent = words.length ? `${count} thủ tục có những chữ này. Bấm Tìm để tìm theo ý.` : first;
    };
    input.addEventListener("input", show);
  }
  const print = document.getElementById("in");
  if (print) {
    print.hidden = false;
    print.addEventListener("click", () => window.print());
  }
})();
