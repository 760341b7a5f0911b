"use strict";
const byId = (id) => document.getElementById(id);
const make = (name, text, className) => {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
};

// The theme that was chosen last, where the browser lets a page remember.
const theme = byId("theme");
const isDark = () => getComputedStyle(document.documentElement).colorScheme.includes("dark");
const setTheme = (name) => {
  document.documentElement.dataset.theme = name;
  theme.setAttribute("aria-pressed", String(name === "dark"));
};
try {
  const kept = localStorage.getItem("lmbench-theme");
  if (kept) setTheme(kept);
} catch { /* a page from disk may not be let */ }
theme.setAttribute("aria-pressed", String(isDark()));
theme.addEventListener("click", () => {
  const name = isDark() ? "light" : "dark";
  setTheme(name);
  try { localStorage.setItem("lmbench-theme", name); } catch { /* it is forgotten */ }
});

// Sorting: empty keys stay last in either direction; equal keys keep their order.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  const keyOf = (row, column) => {
    let at = 0;
    for (const cell of row.cells) {
      if (column < at + cell.colSpan) return cell.dataset.key ?? cell.textContent;
      at += cell.colSpan;
    }
    return "";
  };
  const order = (x, y) => (isNaN(x) || isNaN(y) ? x.localeCompare(y) : infinite(x) - infinite(y) || 0);
  const infinite = (x) => (x === "inf" ? Infinity : Number(x));
  heads.forEach((head, column) => {
    head.querySelector("button")?.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      for (const body of table.querySelectorAll("tbody:not(.programs)")) { // each ranking for itself
        const rows = [...body.rows].filter((row) => row.className !== "part");
        const keys = new Map(rows.map((row) => [row, keyOf(row, column)]));
        rows.sort((p, q) => {
          const x = keys.get(p), y = keys.get(q);
          if (x === "" || y === "") return (x === "") - (y === "");
          return down ? order(y, x) : order(x, y);
        });
        body.append(...rows);
      }
    });
  });
}

// A link that has several places goes to the next of them each time.
for (const link of document.querySelectorAll("a[data-places]")) {
  const places = link.dataset.places.split(" ");
  link.addEventListener("click", () => {
    const turn = Number(link.dataset.turn ?? 0);
    link.href = link.getAttribute("href").replace(/at=\d+/, `at=${places[turn % places.length]}`);
    link.dataset.turn = String(turn + 1);
  });
}
