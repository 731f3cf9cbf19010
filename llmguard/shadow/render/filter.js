"use strict";
(() => {
  const form = document.getElementById("filter");
  const all = [...document.querySelectorAll("article.example")];
  const count = document.getElementById("shown");
  const apply = () => {
    const want = new FormData(form);
    const words = (want.get("words") || "").toLowerCase();
    let shown = 0;
    for (const each of all) {
      const fits = ["rung", "direction", "slice"].every((name) => {
        const value = want.get(name);
        return value === "*" || each.dataset[name] === value;
      });
      const sure = !want.get("stable") || each.dataset.stable === "True";
      const found = !words || each.textContent.toLowerCase().includes(words);
      each.hidden = !(fits && sure && found);
      shown += each.hidden ? 0 : 1;
    }
    count.textContent = `${shown} of ${all.length} examples`;
  };
  if (form) {
    form.hidden = false;
    form.addEventListener("input", apply);
    form.addEventListener("submit", (event) => event.preventDefault());
    apply();
  }
})();
