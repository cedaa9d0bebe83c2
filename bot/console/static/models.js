// A model that is being trained: the page looks again now and then.
"use strict";
if (document.querySelector("[data-training]")) {
  setTimeout(() => location.reload(), 2000);
}
