"use strict";
const byId = (id) => document.getElementById(id);
const make = (name, text, className) => {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
};

byId("theme").addEventListener("click", () => {
  const dark = getComputedStyle(document.documentElement).colorScheme.includes("dark");
  document.documentElement.dataset.theme = dark ? "light" : "dark";
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
      const rows = [...table.tBodies[0].rows];
      const keys = new Map(rows.map((row) => [row, keyOf(row, column)]));
      rows.sort((p, q) => {
        const x = keys.get(p), y = keys.get(q);
        if (x === "" || y === "") return (x === "") - (y === "");
        return down ? order(y, x) : order(x, y);
      });
      table.tBodies[0].append(...rows);
    });
  });
}
