// The token view ----------------------------------------------------------------------------------

const extracts = JSON.parse(byId("extracts").textContent);
if (extracts.length) tokenView();

function tokenView() {
  const FULL = 8; // bits a character at which the shade is full
  const box = byId("view-text"), detail = byId("view-detail"), key = byId("view-key");
  const pick = { extract: byId("view-extract"), a: byId("view-a"), b: byId("view-b") };
  const modes = [...document.querySelectorAll(".modes button")];
  let mode = "a", extract, characters, spans = [], chosen = -1;

  const track = (side) => extract.tracks[pick[side].selectedIndex];
  const tokenAt = (t, end) => { // the token whose span holds the character before `end`
    let low = 0, high = t.ends.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (t.ends[middle] < end) low = middle + 1; else high = middle;
    }
    return low;
  };
  const startOf = (t, k) => (k ? t.ends[k - 1] : 0);
  const rate = (t, k) => (t.bits[k] ?? Infinity) / (t.ends[k] - startOf(t, k));
  const spent = (t, start, last) => { // bits from the token that begins at `start` to token `last`
    let bits = 0;
    for (let k = last; k >= 0 && t.ends[k] > start; k--) bits += t.bits[k] ?? Infinity;
    return bits;
  };
  const total = (t) => t.bits.reduce((sum, b) => sum + (b ?? Infinity), 0) / characters.length;
  const number = (x, digits = 2) => (isFinite(x) ? x.toFixed(digits).replace("-", "−") : x > 0 ? "∞" : "−∞");
  const visible = (s) => s.replace(/\n/g, "↵").replace(/ /g, "␣");
  const shade = (name, strength) =>
    `rgb(var(--${name}) / calc(var(--shade) * ${Math.min(1, Math.max(0, strength)).toFixed(3)}))`;

  function paint(span) {
    const { a, b, start, end } = span;
    const x = rate(track("a"), a), y = rate(track("b"), b);
    if (mode === "difference") { // both models have a boundary at either end
      const all = spent(track("a"), start, a), other = spent(track("b"), start, b);
      const d = all === other ? 0 : (all - other) / (end - start);
      span.node.style.background = shade(d < 0 ? "better" : "worse", Math.abs(d) / (FULL / 2));
    } else {
      span.node.style.background = shade("worse", (mode === "b" ? y : x) / FULL);
      if (mode === "both") span.node.style.boxShadow = `inset 0 -5px ${shade("better", (1.6 * y) / FULL)}`;
    }
  }

  function describe() {
    key.replaceChildren();
    const say = (text) => key.append(make("span", text));
    const scale = (names) => {
      const bar = make("span", undefined, "scale");
      bar.style.background = `linear-gradient(to right, ${names.map(([n, s]) => shade(n, s)).join(", ")})`;
      return bar;
    };
    const a = track("a"), b = track("b");
    const line = make("span");
    if (mode === "difference") {
      line.append(`${a.label} spends fewer bits`, scale([["better", 1], ["better", 0], ["worse", 0], ["worse", 1]]), `${b.label} spends fewer`);
    } else {
      line.append("0", scale([["worse", 0], ["worse", 1]]), `${FULL} bits a character or more`);
    }
    key.append(line);
    if (mode === "both") say(`shade: ${a.label}; blue line beneath: ${b.label}`);
    if (mode !== "b") say(`A, ${a.label}: ${number(total(a), 3)} bits per character here`);
    if (mode !== "a") say(`B, ${b.label}: ${number(total(b), 3)}`);
    modes.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.mode === mode)));
  }

  function render() {
    const a = track("a"), b = track("b");
    const shared = new Set(b.ends);
    const cuts = { a: a.ends, b: b.ends, difference: a.ends.filter((end) => shared.has(end)) }[mode]
      ?? [...new Set([...a.ends, ...b.ends])].sort((x, y) => x - y);
    const at = chosen >= 0 ? spans[chosen].end : -1;
    let start = 0;
    spans = cuts.map((end) => {
      const text = characters.slice(start, end).join("");
      const span = { node: make("span", text.replace(/\n/g, "↵\n"), "shade"), start, end, a: tokenAt(a, end), b: tokenAt(b, end) };
      paint(span);
      start = end;
      return span;
    });
    box.replaceChildren(...spans.map((span) => span.node));
    describe();
    chosen = -1;
    if (at >= 0) choose(spans.findIndex((span) => span.end >= at), false);
  }

  function choose(index, scroll = true) {
    if (index < 0 || index >= spans.length) return;
    if (chosen >= 0) spans[chosen].node.classList.remove("chosen");
    chosen = index;
    const span = spans[index];
    span.node.classList.add("chosen");
    if (scroll) span.node.scrollIntoView({ block: "nearest" });
    detail.replaceChildren(said("a", span.a), said("b", span.b));
  }

  function said(side, k) {
    const t = track(side), start = startOf(t, k), end = t.ends[k];
    const surface = characters.slice(start, end).join("");
    const bits = t.bits[k] ?? Infinity;
    const block = make("div", undefined, "said");
    const head = make("h5", `${side.toUpperCase()}, ${t.label} `);
    head.append(make("code", visible(surface)));
    block.append(head);
    const p = 2 ** -bits;
    const facts = [`${number(bits)} bits`, `p = ${p && p < 0.001 ? p.toExponential(1) : p.toPrecision(2)}`];
    if (end - start > 1) facts.push(`${number(rate(t, k))} bits a character`);
    if (t.oov.includes(k)) facts.push("outside its vocabulary, spelling included");
    block.append(make("div", facts.join(", "), "muted"));
    const options = t.alternatives?.[k] ?? [];
    if (options.length) {
      const table = make("table"), body = make("tbody");
      for (const [token, q] of options) {
        const row = make("tr", undefined, token === surface || token === surface.trim() ? "actual" : "");
        const number = make("td", q < 0.001 ? q.toExponential(1) : q.toPrecision(2), "n");
        row.append(make("td", visible(token)), number);
        body.append(row);
      }
      table.append(body);
      block.append(make("div", "It held likeliest:", "muted"), table);
    }
    return block;
  }

  function fill() {
    const kept = [pick.a.value, pick.b.value];
    extract = extracts[pick.extract.selectedIndex];
    characters = Array.from(extract.text);
    for (const side of ["a", "b"]) {
      pick[side].replaceChildren(...extract.tracks.map((t) => make("option", `${t.label} (${t.unit})`)));
      const index = [...pick[side].options].findIndex((o) => o.value === kept[side === "a" ? 0 : 1]);
      pick[side].selectedIndex = index >= 0 ? index : side === "a" ? 0 : Math.min(1, extract.tracks.length - 1);
    }
    spans = [];
    chosen = -1;
    detail.replaceChildren(make("p", "Click a token, or move with the arrow keys, for the numbers.", "muted"));
    render();
  }

  pick.extract.append(...extracts.map((e) => make("option", `${e.corpus}, from character ${e.start.toLocaleString("en")}`)));
  pick.extract.addEventListener("change", fill);
  pick.a.addEventListener("change", render);
  pick.b.addEventListener("change", render);
  const setMode = (wanted) => { mode = wanted; render(); };
  modes.forEach((button) => button.addEventListener("click", () => setMode(button.dataset.mode)));
  box.addEventListener("click", (event) => choose(spans.findIndex((span) => span.node === event.target)));
  box.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 10, ArrowUp: -10 }[event.key];
    if (step) choose(Math.min(spans.length - 1, Math.max(0, chosen + step)));
    else if (event.key === "t") setMode(mode === "a" ? "b" : "a");
    else if (event.key === "d") setMode("difference");
    else return;
    event.preventDefault();
  });
  byId("view").hidden = false;
  fill();
}
