"use strict";
// Draws the report from the block of JSON in the page. No library, no request: all that is shown lies in this file.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.getElementById("report");
  const DASHES = ["", "6 4", "2 3", "9 3 2 3"];
  // Light to dark and yellow to blue: read without colour too, and by colour-blind eyes.
  const RAMP = [[228, 190, 20], [190, 172, 90], [124, 123, 120], [65, 90, 140], [0, 60, 130]];
  const RAMP_DARK = [[70, 78, 120], [90, 110, 160], [124, 150, 150], [200, 190, 110], [255, 236, 80]];
  const dark = matchMedia("(prefers-color-scheme: dark)");

  // Where the reader is: kept over a reload, and over a report that was written again.
  const KEY = "gan_jax report " + location.pathname;
  const place = { scroll: 0, step: null, last: true, x: "step", zoom: null, smooth: 0, logs: {}, sort: null, down: true, follow: true, open: {} };
  try { Object.assign(place, JSON.parse(sessionStorage.getItem(KEY) || "{}")); } catch { /* A browser without storage. */ }
  const keep = () => {
    place.scroll = scrollY;
    try { sessionStorage.setItem(KEY, JSON.stringify(place)); } catch { /* A browser without storage. */ }
  };

  // ---- elements and numbers -------------------------------------------------------------------------------------

  const make = (namespace) => (tag, attributes = {}, ...children) => {
    const node = namespace ? document.createElementNS(namespace, tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
    return node;
  };
  const h = make(null), s = make("http://www.w3.org/2000/svg");
  const clamp = (x, low, high) => Math.min(Math.max(x, low), high);
  const finite = (x) => typeof x === "number" && Number.isFinite(x);
  const minus = (text) => text.replace("-", "−");
  const whole = (x) => Math.round(x).toLocaleString("en");
  const shown = (x) => {
    if (!finite(x)) return "–";
    const size = Math.abs(x);
    if (size >= 1e6) return minus((x / 1e6).toPrecision(3).replace(/\.?0+$/, "")) + "M";
    if (size >= 1000) return minus(whole(x));
    if (size !== 0 && size < 1e-3) return minus(x.toExponential(1).replace(".0e", "e"));
    return minus(String(Number(x.toPrecision(3))));
  };
  const seconds = (x) => (x < 120 ? shown(x) + " s" : x < 7200 ? shown(x / 60) + " min" : shown(x / 3600) + " h");
  const AXES = {
    step: { label: "steps", read: (columns, steps) => steps, text: whole },
    images: { label: "images seen", read: (columns) => columns.images_seen, text: shown },
    time: { label: "training time", read: (columns) => columns.seconds, text: seconds },
  };
  const colour = (k) => `var(--c${k % 8})`;
  const ramp = (share) => {
    const stops = dark.matches ? RAMP_DARK : RAMP, at = clamp(share, 0, 1) * (stops.length - 1), k = Math.min(Math.floor(at), stops.length - 2);
    return `rgb(${stops[k].map((a, i) => Math.round(a + (stops[k + 1][i] - a) * (at - k))).join(" ")})`;
  };
  const ticks = (low, high, count) => {
    const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((m) => m >= rough * 0.999);
    const found = [];
    for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) found.push(Number((k * step).toPrecision(12)));
    return found;
  };
  const logTicks = (low, high) => {
    const found = [], first = Math.floor(Math.log10(low)), last = Math.ceil(Math.log10(high));
    const every = Math.max(1, Math.ceil((last - first) / 6));
    for (let k = first; k <= last; k++) {
      for (const m of last - first <= 2 ? [1, 2, 5] : [1]) {
        const value = m * 10 ** k;
        if ((k - first) % every === 0 && value >= low * 0.999 && value <= high * 1.001) found.push(value);
      }
    }
    return found.length >= 2 ? found : ticks(low, high, 3).filter((value) => value > 0);
  };
  const quantile = (sorted, q) => sorted[clamp(Math.round(q * (sorted.length - 1)), 0, sorted.length - 1)];

  // ---- charts ---------------------------------------------------------------------------------------------------

  const charts = [];
  const readout = h("span", { class: "at", "aria-live": "polite" });
  let crosshair = null; // A value of the x axis, or null.
  let chosen = null; // A member of a sweep, or null.
  const redraw = () => { for (const chart of charts) chart.draw(); };
  const setCrosshair = (x) => {
    crosshair = x;
    readout.textContent = x === null ? "" : `${AXES[place.x].label}: ${AXES[place.x].text(x)}`;
    for (const chart of charts) chart.cross();
  };
  const setZoom = (zoom) => { place.zoom = zoom; reset.disabled = !zoom; redraw(); };
  const reset = h("button", { onclick: () => setZoom(null), title: "show all (Esc)" }, "whole training");

  // A running average that starts unbiased; gaps stay gaps.
  const smoothed = (values, weight) => {
    let sum = 0, mass = 0;
    return values.map((value) => {
      if (!finite(value)) return null;
      sum = weight * sum + (1 - weight) * value;
      mass = weight * mass + (1 - weight);
      return sum / mass;
    });
  };

  class Chart {
    constructor(spec, lines) {
      this.spec = spec;
      this.lines = lines.filter((line) => line.y.some(finite));
      // Points far apart, such as those of sample grids, are shown by dots, and are few enough without an average.
      this.sparse = this.lines.every((line) => line.y.filter(finite).length <= 40);
      this.positive = this.lines.some((line) => line.y.some((y) => finite(y) && y > 0));
      this.svg = s("svg", { tabindex: 0, role: "img", "aria-label": `${spec.title}: ${this.spoken()}. Arrow keys read values, + and - zoom, L switches the scale.` });
      this.legend = h("div", { class: "legend" });
      this.logButton = h("button", { "aria-pressed": String(this.log), disabled: !this.positive, onclick: () => this.toggleLog(), title: "logarithmic scale (L)" }, "log");
      const better = { lower: " Lower is better.", higher: " Higher is better.", one: " Nearer to 1 is better." }[spec.better] || "";
      this.node = h("section", { class: "panel chart", id: `chart-${spec.id}` },
        h("header", {}, h("h3", {}, spec.title), this.logButton),
        h("p", { class: "note" }, spec.note ? spec.note[0].toUpperCase() + spec.note.slice(1) + "." + better : better.trim()), this.legend, this.svg);
      this.listen();
      charts.push(this);
    }

    get log() { return Boolean(place.logs[this.spec.id]) && this.positive; }

    toggleLog() {
      place.logs[this.spec.id] = !this.log;
      this.logButton.setAttribute("aria-pressed", String(this.log));
      this.draw();
    }

    spoken() {
      return this.lines.slice(0, 4).map((line) => `${line.label} ends at ${shown(line.y.filter(finite).at(-1))}`).join(", ");
    }

    xs(line) { return AXES[place.x].read(line.columns, line.steps) || line.steps; }

    draw() {
      const width = this.svg.clientWidth, height = this.svg.clientHeight;
      if (!width) return;
      const all = this.lines.map((line) => this.xs(line));
      const whole_ = [Math.min(...all.map((xs) => xs.find(finite) ?? Infinity)), Math.max(...all.map((xs) => xs.findLast(finite) ?? -Infinity))];
      if (this.lines.length && place.x !== "step") whole_[0] = 0;
      let [x0, x1] = place.zoom || whole_;
      if (!(x1 > x0)) { x0 -= 0.5; x1 += 0.5; }
      const weight = this.sparse ? 0 : place.smooth, raw = [], fine = [];
      this.drawn = this.lines.map((line, k) => {
        const xs = all[k], average = weight > 0 ? smoothed(line.y, weight) : line.y;
        xs.forEach((x, i) => {
          if (!(x >= x0 && x <= x1)) return;
          if (finite(line.y[i]) && (!this.log || line.y[i] > 0)) raw.push(line.y[i]);
          if (finite(average[i]) && (!this.log || average[i] > 0)) fine.push(average[i]);
        });
        return { ...line, xs, average };
      });
      raw.sort((a, b) => a - b);
      const values = weight > 0 && raw.length ? [...fine, quantile(raw, 0.02), quantile(raw, 0.98)] : raw;
      let low = Math.min(...values), high = Math.max(...values);
      if (!values.length) [low, high] = [0, 1];
      if (this.log) { if (high / low < 1.05) { low /= 1.2; high *= 1.2; } } else {
        if (!(high > low)) { const pad = Math.abs(high) * 0.1 || 1; low -= pad; high += pad; }
        const pad = (high - low) * 0.06;
        [low, high] = [low >= 0 && low - pad < 0 ? 0 : low - pad, high + pad];
      }
      const ys = this.log ? logTicks(low, high) : ticks(low, high, 4).filter((y) => y >= low && y <= high);
      const labels = ys.map(shown), left = 14 + 6.4 * Math.max(2, ...labels.map((text) => text.length));
      const box = (this.box = { left, right: width - 10, top: 8, bottom: height - 24 });
      const f = this.log ? Math.log10 : (y) => y;
      this.x = (x) => box.left + ((x - x0) / (x1 - x0)) * (box.right - box.left);
      this.y = (y) => box.bottom - ((f(y) - f(low)) / (f(high) - f(low))) * (box.bottom - box.top);
      this.back = (px) => x0 + ((px - box.left) / (box.right - box.left)) * (x1 - x0);
      this.range = [x0, x1];
      const clip = `clip-${this.spec.id}`;
      const path = (xs, ys) => {
        let text = "", pen = false;
        xs.forEach((x, i) => {
          const y = ys[i];
          if (!finite(x)) return;
          if (!finite(y) || (this.log && y <= 0)) { if (!this.sparse && y !== null && y !== undefined) pen = false; return; }
          text += `${pen ? "L" : "M"}${this.x(x).toFixed(1)} ${this.y(y).toFixed(1)}`;
          pen = true;
        });
        return text;
      };
      let xTicks = [];
      for (let count = clamp(Math.floor(width / 100), 2, 6); xTicks.length < 2 && count < 9; count++) xTicks = ticks(x0, x1, count).filter((x) => x >= x0 && x <= x1);
      const last = xTicks.length - 1;
      this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
      this.marks = s("g");
      this.svg.replaceChildren(
        s("clipPath", { id: clip }, s("rect", { x: box.left, y: box.top - 4, width: Math.max(0, box.right - box.left), height: box.bottom - box.top + 8 })),
        s("g", {}, ys.map((y) => s("line", { class: "grid", x1: box.left, x2: box.right, y1: this.y(y), y2: this.y(y) })),
          ys.map((y, i) => s("text", { class: "tick", x: box.left - 7, y: this.y(y) + 3.5, "text-anchor": "end" }, labels[i])),
          xTicks.map((x, i) => s("text", { class: "tick", x: this.x(x), y: height - 7, "text-anchor": i === last && this.x(x) > box.right - 24 ? "end" : i ? "middle" : this.x(x) < box.left + 12 ? "start" : "middle" }, AXES[place.x].text(x)))),
        s("g", { "clip-path": `url(#${clip})`, class: chosen !== null && this.spec.members ? "faded" : "" },
          weight > 0 ? this.drawn.map((line) => s("path", { class: "raw", d: path(line.xs, line.y), stroke: line.colour })) : [],
          this.drawn.map((line) => s("path", { class: line.member !== undefined && line.member === chosen ? "line on" : "line", d: path(line.xs, line.average), stroke: line.colour, "stroke-dasharray": line.dash || null })),
          this.sparse && !this.spec.members ? this.drawn.flatMap((line) => line.xs.map((x, i) => finite(x) && finite(line.y[i]) && (!this.log || line.y[i] > 0) ? s("circle", { cx: this.x(x), cy: this.y(line.y[i]), r: 2.4, fill: line.colour }) : null)) : []),
        this.marks);
      this.cross();
    }

    // The crosshair, what the lines are there, and where the samples are.
    cross() {
      if (!this.marks) return;
      const { left, right, top, bottom } = this.box, marks = [];
      const within = (x) => x !== null && x >= this.range[0] && x <= this.range[1];
      if (this.now !== undefined && within(this.now())) marks.push(s("line", { class: "now", x1: this.x(this.now()), x2: this.x(this.now()), y1: top, y2: bottom }));
      const at = within(crosshair) ? crosshair : null;
      if (at !== null) marks.push(s("line", { class: "cross", x1: this.x(at), x2: this.x(at), y1: top, y2: bottom }));
      const entries = this.drawn.map((line) => {
        let best = -1;
        line.xs.forEach((x, i) => {
          if (finite(line.y[i]) && finite(x) && (best < 0 || Math.abs(x - (at ?? Infinity)) < Math.abs(line.xs[best] - (at ?? Infinity)) || at === null)) best = i;
        });
        if (best < 0) return null;
        const value = line.average[best];
        if (at !== null && finite(value) && (!this.log || value > 0)) {
          marks.push(s("circle", { cx: this.x(line.xs[best]), cy: clamp(this.y(value), top - 4, bottom + 4), r: 3.4, fill: line.colour, stroke: "var(--panel)", "stroke-width": 1.5 }));
        }
        return { line, value };
      });
      this.marks.replaceChildren(...marks);
      if (this.spec.members) {
        const entry = entries.find((found) => found && found.line.member === chosen);
        this.legend.replaceChildren(h("span", { class: "soft" }, entry ? `${entry.line.label}: ` : "", entry ? h("b", {}, shown(entry.value)) : "point at a line or a member"));
        return;
      }
      this.legend.replaceChildren(...entries.filter(Boolean).map(({ line, value }) =>
        h("span", {}, s("svg", { "aria-hidden": "true", viewBox: "0 0 22 8" }, s("line", { x1: 1, x2: 21, y1: 4, y2: 4, stroke: line.colour, "stroke-width": 2.4, "stroke-dasharray": line.dash || null })), line.label, h("b", {}, shown(value)))));
    }

    listen() {
      const svg = this.svg;
      let from = null;
      const at = (event) => { const box = svg.getBoundingClientRect(); return clamp(event.clientX - box.left, this.box.left, this.box.right); };
      svg.addEventListener("pointerdown", (event) => { if (this.marks && event.button === 0) { from = at(event); svg.setPointerCapture(event.pointerId); } });
      svg.addEventListener("pointermove", (event) => {
        if (!this.marks) return;
        const px = at(event);
        setCrosshair(this.back(px));
        if (this.spec.members) choose(this.nearest(px, event.clientY - svg.getBoundingClientRect().top), "chart");
        if (from !== null && Math.abs(px - from) > 6) {
          this.marks.append(s("rect", { class: "picked", x: Math.min(px, from), width: Math.abs(px - from), y: this.box.top, height: this.box.bottom - this.box.top }));
        }
      });
      const up = (event) => {
        if (from === null) return;
        const px = at(event), start = from;
        from = null;
        if (event.type === "pointercancel") { setCrosshair(null); return; }
        if (Math.abs(px - start) > 6) setZoom([this.back(Math.min(px, start)), this.back(Math.max(px, start))]);
        else if (this.goto) this.goto(this.back(px));
      };
      svg.addEventListener("pointerup", up);
      svg.addEventListener("pointercancel", up);
      svg.addEventListener("pointerleave", () => { if (from === null) setCrosshair(null); });
      svg.addEventListener("dblclick", () => setZoom(null));
      svg.addEventListener("blur", () => setCrosshair(null));
      svg.addEventListener("keydown", (event) => {
        const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: 10, PageDown: -10 }[event.key];
        const [x0, x1] = this.range || [0, 1], middle = crosshair ?? (x0 + x1) / 2;
        if (steps && this.drawn && this.drawn.length) {
          const line = this.drawn[0], xs = line.xs.filter((x, i) => finite(x) && finite(line.y[i]));
          let k = xs.findIndex((x) => x >= (crosshair ?? x1));
          k = clamp((k < 0 ? xs.length - 1 : k) + (crosshair === null ? 0 : steps), 0, xs.length - 1);
          setCrosshair(xs[k]);
        } else if (event.key === "+" || event.key === "=") setZoom([middle - (middle - x0) / 2, middle + (x1 - middle) / 2]);
        else if (event.key === "-") setZoom([x0 - (x1 - x0) / 2, x1 + (x1 - x0) / 2]);
        else if (event.key === "Escape" || event.key === "0") { setZoom(null); setCrosshair(null); }
        else if (event.key === "l" || event.key === "L") this.toggleLog();
        else if (event.key === "Enter" && this.goto && crosshair !== null) this.goto(crosshair);
        else return;
        event.preventDefault();
      });
    }

    nearest(px, py) {
      let best = null, least = 30;
      for (const line of this.drawn) {
        line.xs.forEach((x, i) => {
          if (!finite(line.average[i])) return;
          const distance = Math.hypot(this.x(x) - px, this.y(line.average[i]) - py);
          if (distance < least) { least = distance; best = line.member; }
        });
      }
      return best;
    }
  }

  const controls = (axes) => {
    const group = h("span", { class: "group", role: "group", "aria-label": "horizontal axis" });
    for (const name of axes) {
      group.append(h("button", {
        "aria-pressed": String(place.x === name), id: `axis-${name}`,
        onclick: () => {
          place.x = name;
          for (const button of group.children) button.setAttribute("aria-pressed", String(button.id === `axis-${name}`));
          setCrosshair(null);
          setZoom(null);
        },
      }, AXES[name].label));
    }
    const slider = h("input", { type: "range", min: 0, max: 0.98, step: 0.02, value: place.smooth, id: "smooth", oninput: () => { place.smooth = Number(slider.value); redraw(); } });
    reset.disabled = !place.zoom;
    return h("div", { class: "bar" }, axes.length > 1 ? group : null, h("label", {}, "smoothing", slider), reset, readout);
  };

  // ---- parts of the page ----------------------------------------------------------------------------------------

  const section = (title, ...children) => h("section", { "aria-label": title }, h("h2", {}, title), ...children);
  const facts = (rows) => h("dl", { class: "facts" }, rows.map(([name, text]) => [h("dt", {}, name), h("dd", {}, text)]));
  const commands = (rows) => h("div", { class: "commands" }, rows.map(([what, command]) => {
    const button = h("button", {
      title: "copy this command",
      onclick: async () => {
        try { await navigator.clipboard.writeText(command); } catch { getSelection().selectAllChildren(button.previousSibling); document.execCommand("copy"); }
        button.textContent = "copied";
        setTimeout(() => { button.textContent = "copy"; }, 1200);
      },
    }, "copy");
    return h("div", { class: "command" }, h("span", {}, what), h("code", { tabindex: 0 }, command), button);
  }));
  const heading = (one, text, status) => [
    h("div", { class: "head" }, h("h1", {}, text), h("span", { class: `pill ${status}` }, one)),
  ];
  const MARKS = { improving: ["good", "↗"], done: ["good", "✓"], healthy: ["good", "✓"], early: ["", "…"], flat: ["warn", "→"], collapsed: ["bad", "◎"], d_wins: ["warn", "!"], diverging: ["bad", "✕"] };
  const verdict = (run, named) => {
    const [tone, mark] = MARKS[run.verdict.kind] || ["", "·"];
    return h("div", { class: `verdict ${tone}`, "data-kind": run.verdict.kind }, h("span", { class: "mark", "aria-hidden": "true" }, mark),
      h("b", {}, named ? `${run.name}: ${run.verdict.title}` : run.verdict.title), h("p", {}, run.verdict.text));
  };
  const swatch = (fill) => h("span", { class: "swatch", style: `background:${fill}`, "aria-hidden": "true" });

  const networks = (nets) => h("div", { class: "nets" }, nets.map((net) => {
    const most = Math.max(1, ...net.layers.map((layer) => layer[2]));
    return h("div", { class: "panel scroll" }, h("table", {},
      h("caption", {}, h("h3", {}, `${net.name[0].toUpperCase()}${net.name.slice(1)}`), h("span", { class: "soft small" }, `${whole(net.parameters)} parameters`)),
      h("thead", {}, h("tr", {}, h("th", {}, "layer"), h("th", {}, "output"), h("th", { class: "num" }, "parameters"), h("th", { style: "width:24%" }, h("span", { class: "hidden" }, "share")))),
      h("tbody", {}, net.layers.map(([name, shape, count]) => h("tr", {}, h("td", {}, name), h("td", {}, shape.replaceAll(" x ", " × ")), h("td", { class: "num" }, count ? whole(count) : "–"),
        h("td", {}, count ? h("span", { class: "share", style: `width:${Math.max(1, (100 * count) / most)}%` }) : null))))));
  }));

  const measures = (metrics) => h("div", { class: "measures" }, metrics.rows.map((row) => {
    const bound = row.floor ?? row.ceiling, numbers = [row.value, bound, 0].filter(finite);
    const low = Math.min(...numbers), high = Math.max(...numbers, low + 1e-12) * 1.04, at = (x) => (100 * (x - low)) / (high - low);
    const better = { lower: "lower is better", higher: "higher is better", one: "nearer to 1 is better" }[row.better];
    const word = row.floor !== null && row.floor === row.ceiling ? "ideal" : row.floor !== null ? "floor" : "ceiling";
    return h("div", { class: "measure", "data-name": row.name },
      h("div", { class: "line1" }, h("h3", {}, row.name.replaceAll("_", " ")), h("span", { class: "value" }, shown(row.value), finite(row.spread) ? h("span", { class: "soft small", title: row.spread_of }, ` ± ${shown(row.spread)}`) : null)),
      h("div", { class: "track", role: "img", "aria-label": `${shown(row.value)}${finite(bound) ? `, ${word} ${shown(bound)}` : ""}` },
        finite(row.value) ? h("span", { class: "fill", style: `left:${at(Math.min(0, row.value))}%;width:${Math.abs(at(row.value) - at(0))}%;background:var(--c0)` }) : null,
        finite(bound) ? h("span", { class: "bound", style: `left:calc(${at(bound)}% - 1px)` }) : null),
      h("p", { class: "soft small" }, [row.what, better, finite(bound) ? `${word} ${shown(bound)}` : null].filter(Boolean).join("; ")));
  }));

  const optionsTable = (options) => {
    const node = h("details", { class: "panel", open: place.open.options, ontoggle: () => { place.open.options = node.open; } }, h("summary", {}, "All options"),
      h("div", { class: "scroll" }, h("table", {}, h("tbody", {}, Object.entries(options).map(([name, value]) => h("tr", {}, h("td", { class: "soft", style: "width:40%" }, `--${name.replaceAll("_", "-")}`), h("td", {}, value)))))));
    return node;
  };

  // ---- samples under a slider -----------------------------------------------------------------------------------

  const player = (runs) => {
    const shots = runs.map((run, k) => {
      const canvas = h("canvas", { class: run.pixelated ? "sharp" : "", role: "img", width: run.frames[0].size[0], height: run.frames[0].size[1] });
      const images = run.frames.map((frame) => {
        const image = new Image();
        image.src = frame.src;
        return { step: frame.step, image, ready: image.decode().then(() => true, () => false) };
      });
      const caption = h("span", {});
      return { run, canvas, images, caption, wanted: null, node: h("figure", {}, canvas, h("figcaption", {}, runs.length > 1 ? swatch(colour(k)) : null, caption)) };
    });
    const steps = [...new Set(runs.flatMap((run) => run.frames.map((frame) => frame.step)))].sort((a, b) => a - b);
    const output = h("output", { for: "samples" });
    const slider = h("input", { type: "range", id: "samples", min: 0, max: steps.length - 1, step: 1, "aria-label": "step of the samples" });
    // A picture replaces another only when it is decoded: nothing ever flashes.
    const show = async (shot, frame) => {
      shot.wanted = frame;
      if (!(await frame.ready) || shot.wanted !== frame) return;
      if (shot.canvas.width !== frame.image.naturalWidth || shot.canvas.height !== frame.image.naturalHeight) {
        shot.canvas.width = frame.image.naturalWidth;
        shot.canvas.height = frame.image.naturalHeight;
      }
      const pen = shot.canvas.getContext("2d");
      pen.imageSmoothingEnabled = !shot.run.pixelated;
      pen.drawImage(frame.image, 0, 0);
      shot.canvas.dataset.step = frame.step;
    };
    const set = (index) => {
      index = clamp(index, 0, steps.length - 1);
      slider.value = index;
      place.step = steps[index];
      place.last = index === steps.length - 1;
      output.textContent = `step ${whole(steps[index])}`;
      slider.setAttribute("aria-valuetext", output.textContent);
      for (const shot of shots) {
        const frame = shot.images.findLast((one) => one.step <= steps[index]) || shot.images[0];
        shot.caption.textContent = runs.length > 1 ? `${shot.run.name}, step ${whole(frame.step)}` : "";
        shot.canvas.setAttribute("aria-label", `samples of ${shot.run.name} at step ${frame.step}`);
        show(shot, frame);
      }
      for (const chart of charts) chart.cross();
    };
    const goto = (step) => set(Math.max(0, steps.findLastIndex((one) => one <= step)));
    let timer = null;
    const button = h("button", { class: "play", "aria-label": "play", title: "play (space)", onclick: () => play(timer === null) }, "▶");
    const play = (on) => {
      clearInterval(timer);
      timer = null;
      button.textContent = on ? "❚❚" : "▶";
      button.setAttribute("aria-label", on ? "pause" : "play");
      if (!on) return;
      if (Number(slider.value) === steps.length - 1) set(0);
      timer = setInterval(() => {
        if (Number(slider.value) === steps.length - 1) { play(false); return; }
        set(Number(slider.value) + 1);
      }, clamp(6000 / steps.length, 60, 500));
    };
    slider.addEventListener("input", () => { play(false); set(Number(slider.value)); });
    slider.addEventListener("keydown", (event) => { if (event.key === " ") { event.preventDefault(); play(timer === null); } });
    set(place.last || place.step === null ? steps.length - 1 : Math.max(0, steps.findLastIndex((one) => one <= place.step)));
    const thin = runs.some((run) => run.frames.length < run.frames_of);
    const node = h("div", { class: "panel" }, h("div", { class: "shots" }, shots.map((shot) => shot.node)),
      steps.length > 1 ? h("div", { class: "player" }, button, slider, output) : h("p", { class: "soft small" }, `step ${whole(steps[0])}`),
      thin ? h("p", { class: "soft small" }, `${Math.max(...runs.map((run) => run.frames.length))} of ${Math.max(...runs.map((run) => run.frames_of))} pictures`) : null);
    return { node, goto, playing: () => timer !== null };
  };

  // ---- runs -----------------------------------------------------------------------------------------------------

  const ofRuns = () => {
    const runs = data.runs, one = runs.length === 1, first = runs[0];
    if (one) {
      root.append(...heading(first.status_text, first.recipe, first.status), h("p", { class: "sub" }, `${first.summary}. ${first.citation}`.replace(/\. $/, ".")),
        h("p", { class: "sub" }, first.name));
    } else {
      root.append(h("div", { class: "head" }, h("h1", {}, `${runs.length} runs beside each other`)), h("p", { class: "sub" }, [...new Set(runs.map((run) => `${run.recipe}: ${run.summary}`))].join("; ")));
    }
    root.append(h("div", { class: "verdicts" }, runs.map((run) => verdict(run, !one))));
    const drawn = runs.filter((run) => run.frames.length);
    const samples = drawn.length ? player(drawn) : null;
    const about = one
      ? h("div", { class: "panel" }, facts(first.facts), commands(first.commands))
      : null;
    if (one) root.append(h("div", { class: samples ? "top" : "top wide" }, samples ? samples.node : null, about));
    else {
      if (data.differences.length) root.append(section("What differs", differences(runs)));
      if (samples) root.append(section("Samples", samples.node));
    }
    if (data.charts.length) {
      const axes = Object.keys(AXES).filter((name) => runs.every((run) => name === "step" || (AXES[name].read(run.columns, run.steps_logged) || []).some(finite)));
      if (!axes.includes(place.x)) { place.x = "step"; place.zoom = null; }
      const made = data.charts.map((spec) => new Chart(spec, runs.flatMap((run, k) => spec.series.map((line, j) => ({
        label: one ? line.label : spec.series.length > 1 ? `${run.name}: ${line.label}` : run.name,
        colour: one ? colour(j) : colour(k), dash: one ? DASHES[j % 4] : DASHES[j % 4], columns: run.columns, steps: run.steps_logged, y: run.columns[line.key] || [],
      })))));
      if (samples) {
        for (const chart of made) {
          chart.now = () => (place.x === "step" ? place.step : null);
          chart.goto = (x) => { if (place.x === "step") samples.goto(x); };
        }
      }
      root.append(section("Curves", controls(axes), h("div", { class: "charts" }, made.map((chart) => chart.node)),
        h("p", { class: "soft small", style: "margin-top:12px" }, "Point at a chart to read its values, drag to zoom in, double-click to zoom out", samples ? ", click to see the samples of that step." : ".")));
    }
    const measured = runs.filter((run) => run.metrics);
    if (measured.length) {
      root.append(section("Metrics", ...measured.map((run) => h("div", { class: "panel", style: "margin-bottom:14px" },
        h("p", { class: "soft small", style: "margin-bottom:12px" }, `${one ? "" : run.name + ", "}at step ${whole(run.metrics.step)}, of ${whole(run.metrics.n)} samples; a mark stands where real data scores`), measures(run.metrics)))));
    }
    if (!one) {
      root.append(section("Each run", h("div", { class: "two" }, runs.map((run, k) => h("div", { class: "panel" },
        h("div", { class: "head", style: "margin-bottom:10px" }, h("h3", {}, swatch(colour(k)), run.name), h("span", { class: `pill ${run.status}` }, run.status_text)), facts(run.facts), commands(run.commands))))));
    }
    const nets = runs.map((run) => JSON.stringify(run.networks));
    root.append(section("Networks", ...runs.filter((run, k) => nets.indexOf(nets[k]) === k).map((run) => h("div", { style: "margin-bottom:16px" },
      one ? null : h("p", { class: "soft small", style: "margin-bottom:8px" }, runs.filter((other, k) => nets[k] === JSON.stringify(run.networks)).map((other) => other.name).join(", ")), networks(run.networks)))));
    if (one) root.append(section("Settings", optionsTable(first.options)));
    return samples;
  };

  const differences = (runs) => h("div", { class: "panel scroll" }, h("table", { id: "differences" },
    h("thead", {}, h("tr", {}, h("th", {}, "option"), runs.map((run, k) => h("th", {}, swatch(colour(k)), run.name)))),
    h("tbody", {}, data.differences.map((row) => h("tr", {}, h("td", { class: "soft" }, `--${row.name.replaceAll("_", "-")}`), row.values.map((value) => h("td", {}, value ?? "–")))))));

  // ---- sweeps ---------------------------------------------------------------------------------------------------

  let choose = () => {};
  const ofSweep = () => {
    const sweep = data.sweep, lower = sweep.lower_is_better, name = (sweep.metric || "score").replaceAll("_", " ");
    const members = sweep.members, scored = members.filter((member) => finite(member.score));
    const order = [...scored].sort((a, b) => (lower ? a.score - b.score : b.score - a.score));
    const share = new Map(order.map((member, k) => [member.number, order.length > 1 ? 1 - k / (order.length - 1) : 1]));
    const paint = (number) => (share.has(number) ? ramp(share.get(number)) : "var(--line)");
    root.append(...heading(sweep.status, `${sweep.recipe}, ${members.length} members`, sweep.status), h("p", { class: "sub" }, `${sweep.summary}. ${sweep.citation}`), h("p", { class: "sub" }, sweep.name));
    const best = order[0];
    const ways = lower ? "lower is better" : "higher is better";
    root.append(h("div", { class: "verdicts" }, h("div", { class: `verdict ${best ? "good" : ""}` }, h("span", { class: "mark", "aria-hidden": "true" }, best ? "★" : "…"),
      h("b", {}, best ? `Best by ${name}: ${best.label}, seed ${best.seed}` : "No member has a score yet"),
      h("p", {}, best ? `${shown(best.score)} (${ways}); of ${scored.length} members with a score the middle one has ${shown(order[Math.floor((order.length - 1) / 2)].score)}. The best of many is partly luck: repeat its setting with fresh seeds.` : "Scores come at the end of each member's training."))));
    root.append(h("div", { class: "top wide" }, h("div", { class: "panel" }, facts(sweep.facts), commands(sweep.commands))));

    const said = h("p", { class: "said", "aria-live": "polite" }, "Point at a member to see it everywhere.");
    const rows = new Map(), marks = new Map();
    choose = (number, from) => {
      if (number === chosen) return;
      chosen = number;
      for (const [key, row] of rows) row.classList.toggle("on", key === number);
      for (const [key, nodes] of marks) for (const node of nodes) { node.classList.toggle("on", key === number); if (key === number && node.parentNode) node.parentNode.append(node); }
      for (const figure of document.querySelectorAll(".two svg")) figure.classList.toggle("faded", number !== null);
      const member = members.find((one) => one.number === number);
      said.textContent = member ? `member ${member.number}: ${member.label}, seed ${member.seed}; ${name} ${shown(member.score)}${member.status === "done" ? "" : `; ${member.status}`}` : "Point at a member to see it everywhere.";
      if (from !== "chart") redraw(); else for (const chart of charts) chart.draw();
    };
    const mark = (number, node) => {
      marks.set(number, [...(marks.get(number) || []), node]);
      node.addEventListener("pointerenter", () => choose(number));
      node.addEventListener("click", () => { rows.get(number)?.scrollIntoView({ block: "center", behavior: "smooth" }); });
      return node;
    };

    // An axis of a hyperparameter: numbers on a linear or logarithmic scale, other values at equal distances.
    const axisOf = (swept) => {
      const values = members.map((member) => member.values[swept.name]);
      if (values.every((value) => typeof value === "number")) {
        const f = swept.log ? Math.log10 : (x) => x, low = Math.min(...values), high = Math.max(...values);
        const span = f(high) - f(low) || 1;
        return { at: (x) => (high > low ? 0.05 + (0.9 * (f(x) - f(low))) / span : 0.5), ticks: high > low ? (swept.log ? logTicks(low, high) : ticks(low, high, 4)) : [low], text: shown };
      }
      const kinds = [...new Set(values)];
      return { at: (x) => (kinds.indexOf(x) + 0.5) / kinds.length, ticks: kinds, text: (x) => String(x).replace(/\.0(?=:|$)/g, "") };
    };
    const lettersOf = (axis) => 6.4 * Math.max(0, ...axis.ticks.map((v) => axis.text(v).length));
    const scores = order.map((member) => member.score), lo = Math.min(...scores), hi = Math.max(...scores), spread = hi - lo || Math.abs(hi) || 1;
    // Far worse members would press all others onto one line.
    const wide = scores.length && lo > 0 && hi / lo > 20;
    const scoreAt = (x) => (wide ? Math.log(x / lo) / Math.log(hi / lo) : (x - lo) / spread) * 0.9 + 0.05;
    const scoreTicks = scores.length ? (wide ? logTicks(lo, hi) : ticks(lo, lo + spread, 4)) : [];

    const scatter = h("div", { class: "panel" });
    const drawScatter = (swept) => {
      const axis = axisOf(swept), svg = s("svg", { role: "img", "aria-label": `${name} against ${swept.name}` });
      scatter.replaceChildren(h("div", { class: "head" }, h("h3", {}, `${name} against `), h("select", { id: "scatter-x", "aria-label": "hyperparameter", onchange: (event) => { drawScatter(sweep.swept[event.target.selectedIndex]); } }, sweep.swept.map((one) => h("option", { selected: one === swept }, one.name))), h("span", { class: "soft small" }, ways)), svg);
      requestAnimationFrame(() => {
        const width = svg.clientWidth || 400, height = svg.clientHeight || 300, box = [52, width - 12, 10, height - 28];
        // Long labels stand in two lines, every second one higher.
        const line = lettersOf(axis) > (box[1] - box[0]) / axis.ticks.length ? 14 : 0;
        box[3] -= line;
        const x = (v) => box[0] + axis.at(v) * (box[1] - box[0]), y = (v) => box[3] - scoreAt(v) * (box[3] - box[2]);
        svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
        svg.append(s("g", {}, scoreTicks.map((v) => [s("line", { class: "grid", x1: box[0], x2: box[1], y1: y(v), y2: y(v) }), s("text", { class: "tick", x: box[0] - 7, y: y(v) + 4, "text-anchor": "end" }, shown(v))]),
          axis.ticks.map((v, i) => s("text", { class: "tick", x: x(v), y: height - 8 - line * (i % 2), "text-anchor": "middle" }, axis.text(v)))),
        s("g", {}, [...order].reverse().map((member) => mark(member.number, s("circle", { class: "dot", cx: x(member.values[swept.name]), cy: y(member.score), r: 6.5, fill: paint(member.number) }, s("title", {}, `${member.label}, seed ${member.seed}: ${shown(member.score)}`))))));
      });
    };
    const parallel = h("div", { class: "panel" });
    const drawParallel = () => {
      const axes = [...sweep.swept.map((swept) => ({ title: swept.name, of: (member) => member.values[swept.name], ...axisOf(swept) })),
        { title: name, of: (member) => member.score, at: (v) => (lower ? 1 - scoreAt(v) : scoreAt(v)), ticks: scoreTicks, text: shown }];
      const svg = s("svg", { role: "img", "aria-label": "settings and score, a line for each member" });
      parallel.replaceChildren(h("div", { class: "head" }, h("h3", {}, "Settings and score"), h("span", { class: "ramp" }, "worst", h("i", { style: `background:linear-gradient(90deg, ${[0, 0.25, 0.5, 0.75, 1].map(ramp).join(",")})` }), "best")), svg);
      requestAnimationFrame(() => {
        const width = svg.clientWidth || 400, height = svg.clientHeight || 300, top = 34, bottom = height - 10;
        const left = clamp(lettersOf(axes[0]) + 12, 58, width / 3);
        const x = (k) => left + (k * (width - left - 58)) / (axes.length - 1), y = (axis, v) => bottom - axis.at(v) * (bottom - top);
        svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
        svg.append(s("g", {}, axes.map((axis, k) => [s("line", { class: "cross", x1: x(k), x2: x(k), y1: top, y2: bottom }), s("text", { class: "tick", x: x(k), y: 16, "text-anchor": "middle", "font-weight": 600 }, axis.title)])),
        s("g", {}, [...order].reverse().map((member) => mark(member.number, s("path", { class: "thread", stroke: paint(member.number), d: axes.map((axis, k) => `${k ? "L" : "M"}${x(k).toFixed(1)} ${y(axis, axis.of(member)).toFixed(1)}`).join("") }, s("title", {}, `${member.label}, seed ${member.seed}: ${shown(member.score)}`))))),
        s("g", {}, axes.map((axis, k) => axis.ticks.filter((v) => axis.at(v) >= -0.01 && axis.at(v) <= 1.01).map((v) => s("text", { class: "tick above", x: x(k) + (k === axes.length - 1 ? 7 : -7), y: y(axis, v) + 4, "text-anchor": k === axes.length - 1 ? "start" : "end" }, axis.text(v))))));
      });
    };
    const figures = () => { marks.clear(); if (sweep.swept.length && order.length) { drawScatter(sweep.swept[0]); drawParallel(); } };
    if (sweep.swept.length && order.length) root.append(section("Settings against score", h("div", { class: "two" }, scatter, parallel), said));
    figures();
    new ResizeObserver(() => figures()).observe(root);
    dark.addEventListener("change", () => { figures(); });

    // The members as rows: any column sorts.
    const columns = [
      { id: "score", title: name, of: (m) => m.score, text: (m) => shown(m.score), num: true },
      ...sweep.swept.map((swept) => ({ id: swept.name, title: swept.name, of: (m) => m.values[swept.name], text: (m) => (typeof m.values[swept.name] === "number" ? shown(m.values[swept.name]) : m.values[swept.name]), num: true })),
      { id: "seed", title: "seed", of: (m) => m.seed, text: (m) => String(m.seed), num: true },
      { id: "step", title: "step", of: (m) => m.step, text: (m) => whole(m.step), num: true },
      { id: "status", title: "status", of: (m) => m.status, text: (m) => m.status },
    ];
    const body = h("tbody"), pictures = members.some((member) => member.src);
    for (const member of members) {
      const row = h("tr", { "data-member": member.number, onpointerenter: () => choose(member.number) },
        columns.map((column) => h("td", { class: column.num ? "num" : "", "data-name": column.title }, column.id === "score" ? swatch(paint(member.number)) : null, column.text(member))),
        pictures ? h("td", { class: "picture" }, member.src ? h("img", { src: member.src, alt: `samples of ${member.label}, seed ${member.seed}`, class: member.size && member.size[0] === member.size[1] ? "points" : "sharp" }) : null) : null);
      rows.set(member.number, row);
    }
    const heads = columns.map((column) => h("th", { class: column.num ? "num" : "", scope: "col", "data-column": column.id }, h("button", { onclick: () => sort(column.id) }, column.title)));
    const sort = (id, down = place.sort === id ? !place.down : true) => {
      const column = columns.find((one) => one.id === id) || columns[0];
      Object.assign(place, { sort: column.id, down });
      const best_first = column.id === "score" && !lower ? -1 : 1, sign = (down ? 1 : -1) * best_first;
      const value = (m) => column.of(m);
      const sorted = [...members].sort((a, b) => {
        const [x, y] = [value(a), value(b)], none = (z) => z === null || z === undefined;
        if (none(x) || none(y)) return none(x) - none(y) || a.number - b.number;
        return sign * (typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y))) || a.number - b.number;
      });
      body.replaceChildren(...sorted.map((member) => rows.get(member.number)));
      heads.forEach((head, k) => {
        if (columns[k] === column) head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending"); else head.removeAttribute("aria-sort");
        head.firstChild.textContent = columns[k].title + (columns[k] === column ? (sign > 0 ? " ↑" : " ↓") : "");
      });
    };
    sort(place.sort || "score", place.sort ? place.down : true);
    root.append(section("Members", h("p", { class: "soft small", style: "margin-bottom:10px" }, `Sorted by any column; ${name}: ${ways}.${pictures ? " All samples are of the same latents." : ""}`),
      h("div", { class: "panel scroll" }, h("table", { class: "members" }, h("thead", {}, h("tr", {}, heads, pictures ? h("th", {}, "samples") : null)), body))));

    if (data.charts.length) {
      place.x = "step";
      const label = (member) => `${member.label}, seed ${member.seed}`;
      const made = data.charts.flatMap((spec) => spec.series.map((line) => new Chart(
        { ...spec, id: `${spec.id}-${line.key}`, title: spec.series.length > 1 ? `${spec.title}: ${line.label}` : spec.title, members: true },
        [...sweep.curves].sort((a, b) => (share.get(a.number) ?? -1) - (share.get(b.number) ?? -1)).map((curve) => ({ member: curve.number, label: label(members[curve.number]), colour: paint(curve.number), dash: "", columns: curve.columns, steps: curve.steps_logged, y: curve.columns[line.key] || [] })))));
      dark.addEventListener("change", () => { for (const chart of made) for (const line of chart.lines) line.colour = paint(line.member); redraw(); });
      root.append(section("Curves", controls(["step"]), h("div", { class: "charts" }, made.map((chart) => chart.node))));
    }
    if (sweep.metrics) root.append(section("Metrics of the best", h("div", { class: "panel" }, measures(sweep.metrics))));
    if (sweep.networks) root.append(section("Networks of the best", networks(sweep.networks)));
    root.append(section("Settings that all share", optionsTable(sweep.options)));
    return null;
  };

  // ---- the page -------------------------------------------------------------------------------------------------

  const samples = data.kind === "sweep" ? ofSweep() : ofRuns();
  const follow = h("input", { type: "checkbox", id: "follow", checked: place.follow, onchange: () => { place.follow = follow.checked; } });
  root.append(h("footer", {}, h("span", {}, `Written ${data.written}`), data.reload ? h("label", {}, follow, ` follows its run: read again every ${data.reload} seconds`) : null));
  let width = 0;
  new ResizeObserver(() => { if (root.clientWidth !== width) { width = root.clientWidth; redraw(); } }).observe(root);
  history.scrollRestoration = "manual";
  scrollTo(0, place.scroll);
  addEventListener("pagehide", keep);
  if (data.reload) {
    let held = false;
    addEventListener("pointerdown", () => { held = true; });
    addEventListener("pointerup", () => { held = false; });
    setInterval(() => {
      // Not in the reader's hand, and not while nobody looks.
      if (held || !place.follow || document.hidden || (samples && samples.playing())) return;
      keep();
      location.reload();
    }, data.reload * 1000);
  }
})();
