// The token view ----------------------------------------------------------------------------------
// A stretch of text is unpacked when it is first looked at; of a long one a window is drawn at a time.

const sources = [...document.querySelectorAll("script.stretch")];
if (sources.length) tokenView();

function tokenView() {
  const FULL = 8; // bits a character at which the shade is full
  const WINDOW = 2400, STEP = 2000; // characters drawn at once, and turned over by a button
  const box = byId("view-text"), detail = byId("view-detail"), key = byId("view-key"), strip = byId("view-strip");
  const pick = { extract: byId("view-extract"), a: byId("view-a"), b: byId("view-b") };
  const place = byId("view-place"), search = byId("view-search"), told = byId("view-told");
  const modes = [...document.querySelectorAll(".modes button")];
  const stretches = sources.map((node) => ({
    node, corpus: node.dataset.corpus, start: Number(node.dataset.start), length: Number(node.dataset.length),
  }));
  let mode = "a", now, from = 0, spans = [], chosen = -1;

  async function unpacked(stretch) {
    if (stretch.tracks) return stretch;
    const bytes = Uint8Array.from(atob(stretch.node.textContent.trim()), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    const data = await new Response(stream).json();
    stretch.characters = Array.from(data.text);
    stretch.tracks = data.tracks.map((t) => {
      let end = 0;
      const ends = t.steps ? t.steps.map((step) => (end += step)) : t.bits.map((_, k) => k + 1);
      const bits = t.bits.map((b) => (b < 0 ? Infinity : b / 100));
      const before = [0]; // bits before each token; infinities are counted apart
      bits.forEach((b, k) => before.push(before[k] + (isFinite(b) ? b : 0)));
      return { ...t, ends, bits, before, oov: new Set(t.oov) };
    });
    return stretch;
  }

  const track = (side) => now.tracks[pick[side].selectedIndex];
  const tokenAt = (t, end) => { // the token whose span holds the character before `end`
    let low = 0, high = t.ends.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (t.ends[middle] < end) low = middle + 1; else high = middle;
    }
    return low;
  };
  const startOf = (t, k) => (k ? t.ends[k - 1] : 0);
  const rate = (t, k) => t.bits[k] / (t.ends[k] - startOf(t, k));
  const within = (t, start, end) => { // the tokens that reach into [start, end)
    const tokens = [];
    for (let k = tokenAt(t, start + 1); k < t.ends.length && startOf(t, k) < end; k++) tokens.push(k);
    return tokens;
  };
  const spent = (t, start, end) => within(t, start, end).reduce((sum, k) => sum + t.bits[k], 0);
  const number = (x, digits = 2) => (isFinite(x) ? x.toFixed(digits).replace("-", "−") : x > 0 ? "∞" : "−∞");
  const visible = (s) => s.replace(/\n/g, "↵").replace(/ /g, "␣");
  const surface = (start, end) => now.characters.slice(start, end).join("");
  const shade = (name, strength) =>
    `rgb(var(--${name}) / calc(var(--shade) * ${Math.min(1, Math.max(0, strength)).toFixed(3)}))`;
  const whole = (t) => (t.bits.includes(Infinity) ? Infinity : t.before.at(-1) / now.characters.length);

  function paint(span) {
    const { a, b, start, end } = span;
    const x = rate(track("a"), a), y = rate(track("b"), b);
    if (mode === "difference") { // both models have a boundary at either end
      const all = spent(track("a"), start, end), other = spent(track("b"), start, end);
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
    if (mode !== "b") say(`A, ${a.label}: ${number(whole(a), 3)} bits per character of this text`);
    if (mode !== "a") say(`B, ${b.label}: ${number(whole(b), 3)}`);
    modes.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.mode === mode)));
  }

  // The whole stretch as a strip: where the bits are, or who spends fewer.
  function drawStrip() {
    const n = now.characters.length, parts = Math.min(240, n), a = track("a"), b = track("b");
    strip.replaceChildren();
    for (let i = 0; i < parts; i++) {
      const start = Math.floor((i * n) / parts), end = Math.max(start + 1, Math.floor(((i + 1) * n) / parts));
      const bar = make("i");
      const x = spent(a, start, end) / (end - start), y = spent(b, start, end) / (end - start);
      const d = x === y ? 0 : x - y;
      bar.style.background = mode === "difference"
        ? shade(d < 0 ? "better" : "worse", Math.abs(d) / (FULL / 4)) : shade("worse", (mode === "b" ? y : x) / FULL);
      strip.append(bar);
    }
  }

  function render() {
    const a = track("a"), b = track("b"), n = now.characters.length;
    from = Math.max(0, Math.min(from, n - 1));
    const to = Math.min(n, from + WINDOW);
    const ends = (t) => { // of the tokens in the window
      const first = tokenAt(t, from + 1), last = tokenAt(t, to);
      return t.ends.slice(first, last + 1);
    };
    const of = { a: ends(a), b: ends(b) };
    const shared = new Set(of.b);
    const cuts = { a: of.a, b: of.b, difference: of.a.filter((end) => shared.has(end)) }[mode]
      ?? [...new Set([...of.a, ...of.b])].sort((x, y) => x - y);
    const at = chosen >= 0 ? spans[chosen].end : -1;
    let start = mode === "b" ? startOf(b, tokenAt(b, from + 1)) : startOf(a, tokenAt(a, from + 1));
    if (mode === "difference" || mode === "both") start = Math.min(start, startOf(b, tokenAt(b, from + 1)));
    spans = cuts.filter((end) => end > start).map((end) => {
      const span = { node: make("span", surface(start, end).replace(/\n/g, "↵\n"), "shade"), start, end, a: tokenAt(a, end), b: tokenAt(b, end) };
      paint(span);
      start = end;
      return span;
    });
    box.replaceChildren(...spans.map((span) => span.node));
    box.scrollTop = 0;
    place.max = String(Math.max(0, n - 1));
    place.value = String(from);
    const last = spans.length ? spans.at(-1).end : from;
    told.textContent = `characters ${(now.start + from).toLocaleString("en")} to ${(now.start + last).toLocaleString("en")}`;
    byId("view-back").disabled = from === 0;
    byId("view-on").disabled = to >= n;
    describe();
    chosen = -1;
    if (at >= 0) choose(spans.findIndex((span) => span.end >= at), false);
  }

  function all() { render(); drawStrip(); }

  function choose(index, scroll = true) {
    if (index < 0 || index >= spans.length) return;
    if (chosen >= 0) spans[chosen].node.classList.remove("chosen");
    chosen = index;
    const span = spans[index];
    span.node.classList.add("chosen");
    if (scroll) span.node.scrollIntoView({ block: "nearest" });
    const before = make("button", "◀ token", "step"), after = make("button", "token ▶", "step");
    before.type = after.type = "button";
    before.addEventListener("click", () => move(-1));
    after.addEventListener("click", () => move(1));
    const steps = make("p", undefined, "steps");
    steps.append(before, after);
    detail.replaceChildren(steps, said("a", span), said("b", span));
    const hash = new URLSearchParams({ at: now.start + span.start, a: track("a").label, b: track("b").label, mode });
    if (new Set(stretches.map((s) => s.corpus)).size > 1) hash.set("corpus", now.corpus);
    history.replaceState(null, "", `#${hash}`);
  }

  function move(step) {
    const next = chosen + step;
    if (next >= spans.length && from + WINDOW < now.characters.length) { turn(1); choose(0); }
    else if (next < 0 && from > 0) { turn(-1); choose(spans.length - 1); }
    else choose(Math.min(spans.length - 1, Math.max(0, next)));
  }

  function turn(way) { from += way * STEP; chosen = -1; render(); }

  function said(side, span) {
    const t = track(side), k = span[side], start = startOf(t, k), end = t.ends[k];
    const piece = surface(start, end);
    const bits = t.bits[k];
    const block = make("div", undefined, "said");
    const head = make("h3", `${side.toUpperCase()}, ${t.label} `);
    head.append(make("code", visible(piece)));
    block.append(head);
    const p = 2 ** -bits;
    const facts = [`${number(bits)} bits`, `p = ${p && p < 0.001 ? p.toExponential(1) : p.toPrecision(2)}`];
    if (end - start > 1) facts.push(`${number(rate(t, k))} bits a character`);
    if (t.oov.has(k)) facts.push("outside its vocabulary, spelling included");
    block.append(make("div", facts.join(", "), "muted"));
    const both = ["a", "b"].map((s) => [startOf(track(s), span[s]), track(s).ends[span[s]]]);
    const parts = within(t, Math.min(span.start, both[0][0], both[1][0]), Math.max(span.end, both[0][1], both[1][1]));
    if (parts.length > 1) { // a word's span in a model of characters: the letters, and what they come to
      const sum = parts.reduce((s, i) => s + t.bits[i], 0);
      const list = make("div", undefined, "parts");
      for (const i of parts) {
        const part = make("span");
        part.append(make("code", visible(surface(startOf(t, i), t.ends[i]))), ` ${number(t.bits[i])}`);
        list.append(part);
      }
      block.append(make("div", `Here ${parts.length} tokens, ${number(sum)} bits:`, "muted"), list);
    }
    const options = t.alternatives?.[k] ?? [];
    if (options.length) {
      const table = make("table"), body = make("tbody");
      for (const [token, q] of options) {
        const row = make("tr", undefined, token === piece || token === piece.trim() ? "actual" : "");
        const share = make("td", q < 0.001 ? q.toExponential(1) : q.toPrecision(2), "n");
        row.append(make("td", visible(token)), share);
        body.append(row);
      }
      table.append(body);
      block.append(make("div", "It held likeliest:", "muted"), table);
    }
    return block;
  }

  async function open(index) {
    const kept = [pick.a.value, pick.b.value];
    now = await unpacked(stretches[index]);
    pick.extract.selectedIndex = index;
    for (const side of ["a", "b"]) {
      pick[side].replaceChildren(...now.tracks.map((t) => make("option", `${t.label} (${t.unit})`)));
      const old = [...pick[side].options].findIndex((o) => o.value === kept[side === "a" ? 0 : 1]);
      pick[side].selectedIndex = old >= 0 ? old : side === "a" ? 0 : Math.min(1, now.tracks.length - 1);
    }
    from = 0;
    spans = [];
    chosen = -1;
    detail.replaceChildren(make("p", "Click a token, or move with the arrow keys, for the numbers. t: the other model, d: the difference, /: search.", "muted"));
    all();
  }

  // `#at=12345&a=…&b=…&mode=…&corpus=…`: what a link within the page, or from elsewhere, asks for.
  async function follow() {
    const asked = new URLSearchParams(location.hash.slice(1));
    if (!asked.has("at") && !asked.has("a")) return false;
    const at = asked.get("at") === "most" || !asked.has("at") ? null : Number(asked.get("at"));
    const corpus = asked.get("corpus") ?? stretches[0].corpus;
    const here = stretches.map((s, i) => [s, i]).filter(([s]) => s.corpus === corpus);
    const far = ([s]) => (at === null ? 0 : Math.max(s.start - at, at - s.start - s.length, 0));
    if (!here.length) return false;
    let [stretch, index] = here.reduce((best, other) => (far(other) < far(best) ? other : best));
    let most = null; // where the two differ most, in all that is shown of the text
    if (at === null) {
      for (const [other, i] of here) {
        const { tracks } = await unpacked(other);
        const pair = ["a", "b"].map((side) => tracks.find((t) => t.label === asked.get(side)));
        if (pair.some((t) => !t)) continue;
        const found = furthest(pair[0], pair[1], other.characters.length);
        if (!most || found[0] > most[0]) [most, stretch, index] = [found, other, i];
      }
    }
    if (now !== stretch) await open(index);
    for (const side of ["a", "b"]) {
      const wanted = now.tracks.findIndex((t) => t.label === asked.get(side));
      if (wanted >= 0) pick[side].selectedIndex = wanted;
    }
    if (modes.some((button) => button.dataset.mode === asked.get("mode"))) mode = asked.get("mode");
    go(at === null ? most?.[1] ?? 0 : at - now.start);
    byId("view").scrollIntoView({ block: "start" });
    return true;
  }

  function go(at) {
    at = Math.max(0, Math.min(at, now.characters.length - 1));
    from = Math.max(0, at - 300);
    chosen = -1;
    all();
    choose(spans.findIndex((span) => span.end > at));
  }

  function furthest(a, b, length) { // where two tracks differ most over 90 characters: how much, and from which on
    const width = 90;
    let best = 0, most = -1;
    for (let start = 0; start < length; start += width / 3) {
      const d = Math.abs(spent(a, start, start + width) - spent(b, start, start + width));
      if (d > most) [most, best] = [d, start];
    }
    return [most, best];
  }

  function find() {
    const wanted = Array.from(search.value);
    if (!wanted.length) return;
    const text = now.characters, first = chosen >= 0 ? spans[chosen].end : from;
    const same = (i) => wanted.every((c, j) => text[i + j]?.toLowerCase() === c.toLowerCase());
    for (let k = 0; k < text.length; k++) {
      const i = (first + k) % text.length;
      if (same(i)) { search.setCustomValidity(""); return go(i); }
    }
    search.setCustomValidity("not in this text");
    search.reportValidity();
  }

  pick.extract.append(...stretches.map((s) => make("option", `${s.corpus}, from character ${s.start.toLocaleString("en")}`)));
  pick.extract.closest("label").hidden = stretches.length < 2;
  pick.extract.addEventListener("change", () => open(pick.extract.selectedIndex));
  for (const [side, other] of [["a", "b"], ["b", "a"]]) {
    pick[side].addEventListener("change", () => {
      const count = now.tracks.length; // a model beside itself shows nothing
      if (pick.a.selectedIndex === pick.b.selectedIndex && count > 1) pick[other].selectedIndex = (pick[side].selectedIndex + 1) % count;
      all();
    });
  }
  const setMode = (wanted) => { mode = wanted; all(); };
  modes.forEach((button) => button.addEventListener("click", () => setMode(button.dataset.mode)));
  byId("view-back").addEventListener("click", () => turn(-1));
  byId("view-on").addEventListener("click", () => turn(1));
  place.addEventListener("input", () => { from = Number(place.value); chosen = -1; render(); });
  strip.addEventListener("click", (event) => {
    const { left, width } = strip.getBoundingClientRect();
    go(Math.floor(((event.clientX - left) / width) * now.characters.length));
  });
  byId("view-find").addEventListener("submit", (event) => { event.preventDefault(); find(); });
  search.addEventListener("input", () => search.setCustomValidity(""));
  box.addEventListener("click", (event) => choose(spans.findIndex((span) => span.node === event.target)));
  box.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 10, ArrowUp: -10 }[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (step) move(step);
    else if (event.key === "Home") { from = 0; chosen = -1; render(); choose(0); }
    else if (event.key === "End") { from = now.characters.length - STEP; chosen = -1; render(); choose(spans.length - 1); }
    else if (event.key === "PageDown") turn(1);
    else if (event.key === "PageUp") turn(-1);
    else if (event.key === "t") setMode(mode === "a" ? "b" : "a");
    else if (event.key === "d") setMode("difference");
    else if (event.key === "/") search.focus();
    else return;
    event.preventDefault();
  });
  addEventListener("hashchange", follow);
  byId("view").hidden = false;
  const begin = async () => { if (!now && !(await follow())) await open(0); };
  if (/^#(at|a)=/.test(location.hash)) begin();
  else new IntersectionObserver((seen, observer) => {
    if (seen.some((entry) => entry.isIntersecting)) { observer.disconnect(); begin(); }
  }, { rootMargin: "800px" }).observe(byId("view"));
}
