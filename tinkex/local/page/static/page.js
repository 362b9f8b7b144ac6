// The script of the pages: lets the browser in, follows the stream of changes, and draws the charts.
"use strict";

(() => {
  const TOKEN = "tinkex-page-token";
  const LONGEST_WAIT_MS = 15000;

  // ---- Letting in -------------------------------------------------------------------------------

  function token() {
    try { return localStorage.getItem(TOKEN); } catch { return null; }
  }

  function keep(value) {
    try { value === null ? localStorage.removeItem(TOKEN) : localStorage.setItem(TOKEN, value); } catch { /* not kept */ }
  }

  function headers() {
    const found = token();
    return found ? { "X-Page-Token": found } : {};
  }

  async function login(given) {
    const response = await fetch("/login", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(given),
    });
    const answer = await response.json().catch(() => ({}));
    if (response.ok) keep(answer.token);
    return response.ok ? null : String(answer.detail || `HTTP ${response.status}`);
  }

  // Replace the frame by the page's contents; false if the token is not good.
  async function unlock() {
    if (!token()) return false;
    const response = await fetch(location.pathname + location.search, { headers: headers(), cache: "no-store" });
    if (response.status === 401) {
      keep(null);
      return false;
    }
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    document.title = page.title;
    document.body.replaceWith(page.body);
    start();
    return true;
  }

  async function enter() {
    const code = location.hash.slice(1);
    if (code) history.replaceState(null, "", location.pathname + location.search);
    let refusal = null;
    if (await unlock()) return;
    if (code) {
      refusal = await login({ code });
      if (!refusal && await unlock()) return;
    }
    const form = document.getElementById("login");
    const said = document.getElementById("refusal");
    const say = (text) => {
      said.hidden = !text;
      said.textContent = text || "";
    };
    say(refusal);
    form.hidden = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const wrong = await login({ key: document.getElementById("key").value });
      if (wrong || !(await unlock())) say(wrong || "the key was taken, and the page is still refused");
    });
    document.getElementById("key").focus();
  }

  // ---- The stream of changes --------------------------------------------------------------------

  async function* eventsOf(body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let buffer = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      buffer += value;
      for (let end; (end = buffer.indexOf("\n\n")) >= 0; buffer = buffer.slice(end + 2)) {
        const event = {};
        for (const line of buffer.slice(0, end).split("\n")) {
          const colon = line.indexOf(": ");
          if (colon > 0) event[line.slice(0, colon)] = line.slice(colon + 2);
        }
        if (event.data) yield { name: event.event, data: JSON.parse(event.data) };
      }
    }
  }

  function showState(state, title) {
    const shown = document.getElementById("state");
    if (!shown) return;
    shown.className = `state ${state}`;
    shown.textContent = title;
  }

  async function follow() {
    const path = location.pathname.replace(/\/$/, "") + "/live" + location.search;
    for (let wait = 1000; ; wait = Math.min(wait * 2, LONGEST_WAIT_MS)) {
      try {
        const response = await fetch(path, { headers: headers(), cache: "no-store" });
        if (response.status === 401) {
          location.reload();
          return;
        }
        if (!response.ok) throw new Error(`HTTP ${response.status}`);
        for await (const event of eventsOf(response.body)) {
          showState("live", "live");
          wait = 1000;
          if (event.name === "section") receive(event.data);
          else if (event.name === "points" && board) board.receive(event.data);
        }
      } catch { /* the server is gone, or stops: tried again below */ }
      showState("lost", "disconnected");
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }

  // ---- Sections ---------------------------------------------------------------------------------

  const waiting = new Map();

  function receive({ name, html }) {
    const section = document.querySelector(`[data-section="${CSS.escape(name)}"]`);
    if (!section) return;
    const selection = getSelection();
    if (selection && !selection.isCollapsed && section.contains(selection.anchorNode)) {
      // Someone is about to copy what stands here.
      waiting.set(name, html);
      return;
    }
    waiting.delete(name);
    const chosen = new Set([...section.querySelectorAll("input:checked")].map((one) => one.value));
    const unfolded = new Map([...section.querySelectorAll("details[id]")].map((one) => [one.id, one.open]));
    const scrolled = [...section.querySelectorAll(".log")].map((one) => one.scrollTop);
    section.innerHTML = html;
    for (const input of section.querySelectorAll("input[type=checkbox]")) input.checked = chosen.has(input.value);
    for (const one of section.querySelectorAll("details[id]")) {
      if (unfolded.has(one.id)) one.open = unfolded.get(one.id);
    }
    section.querySelectorAll(".log").forEach((one, place) => { one.scrollTop = scrolled[place] || 0; });
    dress(section);
  }

  function span(seconds) {
    for (const [least, unit, name] of [[129600, 86400, "days"], [5400, 3600, "hours"], [90, 60, "minutes"]]) {
      if (seconds >= least) return `${Math.round(seconds / unit)} ${name}`;
    }
    return `${Math.max(0, Math.round(seconds))} s`;
  }

  function dress(root) {
    const now = Date.now() / 1000;
    for (const one of root.querySelectorAll("time[data-at]")) {
      const age = now - one.dataset.at;
      one.textContent = age < 1 ? "now" : `${span(age)} ago`;
    }
    for (const one of root.querySelectorAll("time[data-until]")) one.textContent = span(one.dataset.until - now);
    for (const one of root.querySelectorAll("[data-color]")) {
      one.querySelector(".swatch").style.background = `var(--c${one.dataset.color % 8})`;
    }
    needChoices();
  }

  function needChoices() {
    for (const button of document.querySelectorAll("button[data-needs]")) {
      const name = CSS.escape(button.dataset.needs);
      button.disabled = !document.querySelector(`input[name="${name}"]:checked`);
    }
  }

  async function copy(button) {
    const text = button.dataset.copy;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Without TLS a browser offers the clipboard only to pages of this machine.
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    const label = button.textContent;
    button.classList.add("copied");
    button.textContent = "copied";
    setTimeout(() => {
      button.classList.remove("copied");
      button.textContent = label;
    }, 1200);
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-copy]");
    if (button && !button.classList.contains("copied")) copy(button);
  });
  document.addEventListener("change", needChoices);

  // ---- Charts -----------------------------------------------------------------------------------

  const KNOWN = {
    loss: ["Loss", "mean over the tokens that count, in nats"],
    validation_loss: ["Validation loss", "of passes without training"],
    learning_rate: ["Learning rate", ""],
    grad_norm: ["Gradient norm", "before it is clipped"],
    tokens: ["Tokens", "read in each step"],
  };
  // Steps of an axis that counts.
  const WHOLE = [...Array(9).keys()].flatMap((power) => [1, 2, 5].map((factor) => factor * 10 ** power));
  // What is set, and not measured, has no noise.
  const EXACT = new Set(["learning_rate", "validation_loss"]);
  const ORDER = ["loss", "validation_loss", "learning_rate", "grad_norm"];
  let board = null;

  function number(value) {
    if (value === null || value === undefined) return "–";
    const size = Math.abs(value);
    if (size !== 0 && (size < 1e-4 || size >= 1e6)) return value.toExponential(2);
    return String(+value.toPrecision(4));
  }

  function timeLabel(seconds) {
    const whole = Math.round(seconds);
    if (whole < 120) return `${+seconds.toFixed(1)} s`;
    if (whole < 7200) return `${+(seconds / 60).toFixed(1)} min`;
    return `${+(seconds / 3600).toFixed(2)} h`;
  }

  // An exponential average that begins without a bias towards 0.
  function smoothed(values, weight) {
    let sum = 0;
    let total = 0;
    return values.map((value) => {
      if (value === null) return null;
      sum = sum * weight + value * (1 - weight);
      total = total * weight + (1 - weight);
      return sum / total;
    });
  }

  function color(name, alpha = 1) {
    const found = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
    if (alpha === 1) return found;
    return found + Math.round(alpha * 255).toString(16).padStart(2, "0");
  }

  class Board {
    constructor(root, runs) {
      this.root = root;
      this.runs = runs;
      this.series = new Map(runs.map(([id]) => [id, new Map()]));
      this.charts = new Map();
      this.planned = false;
      const smoothing = document.getElementById("smoothing");
      const logarithmic = document.getElementById("logarithmic");
      smoothing.addEventListener("input", () => this.plan());
      logarithmic.addEventListener("change", () => this.rebuild());
      for (const one of document.getElementsByName("along")) one.addEventListener("change", () => this.rebuild());
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.rebuild());
      this.resized = new ResizeObserver((entries) => {
        for (const { target } of entries) {
          const chart = this.charts.get(target.dataset.metric);
          if (chart && chart.plot) chart.plot.setSize(sizeOf(target));
        }
      });
    }

    get weight() { return Number(document.getElementById("smoothing").value); }

    get alongTime() { return document.querySelector("input[name=along]:checked").value === "time"; }

    get isLogarithmic() { return document.getElementById("logarithmic").checked; }

    receive({ whole, runs }) {
      for (const [id, byName] of Object.entries(runs)) {
        const known = this.series.get(id);
        if (!known) continue;
        if (whole) known.clear();
        for (const [name, [steps, values, times]] of Object.entries(byName)) {
          if (!known.has(name)) known.set(name, { steps: [], values: [], times: [] });
          const series = known.get(name);
          for (let place = 0; place < steps.length; place++) {
            while (series.steps.length && series.steps[series.steps.length - 1] >= steps[place]) {
              // The run went back to an earlier step, or a point is written again.
              series.steps.pop();
              series.values.pop();
              series.times.pop();
            }
            series.steps.push(steps[place]);
            series.values.push(values[place]);
            series.times.push(times[place]);
          }
        }
      }
      this.plan();
    }

    // However many points arrive, all is drawn once a frame.
    plan() {
      if (this.planned) return;
      this.planned = true;
      requestAnimationFrame(() => {
        this.planned = false;
        this.draw();
      });
    }

    rebuild() {
      for (const chart of this.charts.values()) chart.plot.destroy();
      this.charts.clear();
      this.root.replaceChildren();
      this.plan();
    }

    metrics() {
      const names = new Set();
      for (const byName of this.series.values()) for (const name of byName.keys()) names.add(name);
      if (this.runs.length === 1 && names.has("loss")) names.delete("validation_loss");
      const rank = (name) => (ORDER.includes(name) ? ORDER.indexOf(name) : name === "tokens" ? 999 : 100);
      return [...names].sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
    }

    // What a chart shows: lines of a label, a colour, points, and whether they are drawn as they are, without an average.
    lines(metric) {
      if (this.runs.length === 1) {
        const byName = this.series.get(this.runs[0][0]);
        const lines = [{ label: metric === "loss" ? "training" : "", color: "c0", series: byName.get(metric), exact: EXACT.has(metric) }];
        const held = byName.get("validation_loss");
        if (metric === "loss" && held) lines.push({ label: "validation", color: "c1", series: held, exact: true, dots: true });
        return lines.filter((one) => one.series);
      }
      return this.runs.map(([id, name], place) => ({
        label: name, color: `c${place % 8}`, series: this.series.get(id).get(metric), exact: EXACT.has(metric),
        dots: metric === "validation_loss",
      })).filter((one) => one.series);
    }

    draw() {
      const metrics = this.metrics();
      if (!metrics.length) return;
      for (const metric of metrics) {
        const lines = this.lines(metric);
        const shape = lines.map((one) => one.label).join("\n");
        let chart = this.charts.get(metric);
        if (chart && chart.shape !== shape) {
          chart.plot.destroy();
          chart.box.remove();
          this.charts.delete(metric);
          chart = null;
        }
        if (!chart) {
          if (!this.charts.size) this.root.replaceChildren();
          chart = this.build(metric, lines, shape);
          this.charts.set(metric, chart);
          this.resized.observe(chart.space);
        }
        chart.lines = lines;
        chart.plot.setData(this.data(lines));
        chart.write();
      }
      // In their order, wherever a metric came later.
      const boxes = metrics.map((metric) => this.charts.get(metric).box);
      boxes.forEach((box, place) => {
        if (this.root.children[place] !== box) this.root.insertBefore(box, this.root.children[place] || null);
      });
    }

    // uPlot wants one column of x for all lines.
    data(lines) {
      const tables = lines.map(({ series, exact }) => {
        const start = this.alongTime ? this.startOf(series) : 0;
        const x = this.alongTime ? series.times.map((at) => at - start) : series.steps;
        const average = exact ? series.values : smoothed(series.values, this.weight);
        return [x, series.values, average];
      });
      return uPlot.join(tables.map((table) => increasing(table)));
    }

    startOf(series) {
      for (const byName of this.series.values()) {
        if ([...byName.values()].includes(series)) {
          return Math.min(...[...byName.values()].filter((one) => one.times.length).map((one) => one.times[0]));
        }
      }
      return 0;
    }

    build(metric, lines, shape) {
      const [title, remark] = KNOWN[metric] || [metric.replaceAll("_", " "), ""];
      const box = document.createElement("figure");
      box.className = "card chart";
      box.dataset.metric = metric;
      const caption = document.createElement("figcaption");
      const heading = document.createElement("b");
      heading.textContent = title;
      const small = document.createElement("small");
      small.textContent = remark;
      const legend = document.createElement("div");
      legend.className = "legend";
      caption.append(heading, " ", small, legend);
      const space = document.createElement("div");
      space.className = "plot";
      space.dataset.metric = metric;
      box.append(caption, space);
      this.root.append(box);
      const chart = { box, space, shape, lines, hovered: null, hidden: new Set() };
      const axis = { stroke: color("dim"), grid: { stroke: color("line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
      const alongTime = this.alongTime;
      const wide = (u, values) => (values || []).reduce((most, one) => Math.max(most, one.length), 1) * 7 + 14;
      chart.plot = new uPlot({
        ...sizeOf(space),
        legend: { show: false },
        padding: [8, 12, 0, 0],
        cursor: { sync: { key: "charts" }, points: { size: 7 }, drag: { x: true, y: false } },
        scales: { x: { time: false }, y: { distr: this.isLogarithmic && this.positive(lines) ? 3 : 1 } },
        axes: [
          { ...axis, size: 30, incrs: alongTime ? undefined : WHOLE, values: (u, at) => at.map((one) => (one === null ? "" : alongTime ? timeLabel(one) : number(one))) },
          { ...axis, size: wide, values: (u, at) => at.map((one) => (one === null ? "" : number(one))) },
        ],
        series: [{}, ...lines.flatMap((line) => [
          { stroke: color(line.color, 0.3), width: 1, points: { show: false }, spanGaps: true, show: !line.exact },
          {
            stroke: color(line.color), width: 2, spanGaps: true,
            points: { show: Boolean(line.dots), size: 6, fill: color(line.color), stroke: color(line.color) },
          },
        ])],
        hooks: { setCursor: [(u) => { chart.hovered = u.cursor.idx; chart.write(); }] },
      }, this.data(lines), space);
      chart.write = () => this.writeLegend(chart, legend);
      return chart;
    }

    positive(lines) {
      return lines.every(({ series }) => series.values.every((value) => value > 0));
    }

    // The values at the cursor, or else the newest ones.
    writeLegend(chart, legend) {
      const at = chart.hovered;
      const entries = chart.lines.map((line, place) => {
        const column = chart.plot.data[place * 2 + 1] || [];
        let index = at === null || at === undefined ? column.length - 1 : at;
        while (index > 0 && (column[index] === null || column[index] === undefined)) index--;
        const entry = document.createElement("button");
        entry.type = "button";
        entry.title = "Show or hide";
        if (chart.hidden.has(line.label)) entry.className = "off";
        const swatch = document.createElement("i");
        swatch.className = "swatch";
        swatch.style.background = `var(--${line.color})`;
        const value = document.createElement("b");
        value.textContent = number(column[index]);
        entry.append(swatch, line.label ? `${line.label} ` : "", value);
        entry.addEventListener("click", () => this.toggle(chart, line, place));
        return entry;
      });
      if (at !== null && at !== undefined && chart.plot.data[0].length) {
        const where = document.createElement("small");
        const x = chart.plot.data[0][at];
        where.textContent = this.alongTime ? `after ${timeLabel(x)}` : `step ${x}`;
        entries.push(where);
      }
      legend.replaceChildren(...entries);
    }

    toggle(chart, line, place) {
      const show = chart.hidden.has(line.label);
      show ? chart.hidden.delete(line.label) : chart.hidden.add(line.label);
      chart.plot.setSeries(place * 2 + 1, { show: show && !line.exact });
      chart.plot.setSeries(place * 2 + 2, { show });
      chart.write();
    }
  }

  // Points of the same moment are one: uPlot's x must not stand still.
  function increasing([x, ...columns]) {
    const kept = x.map((_, place) => place).filter((place) => place === x.length - 1 || x[place + 1] > x[place]);
    return [x, ...columns].map((column) => kept.map((place) => column[place]));
  }

  function sizeOf(space) {
    return { width: Math.max(160, space.clientWidth), height: space.clientHeight || 200 };
  }

  // ---- Beginning --------------------------------------------------------------------------------

  function start() {
    dress(document);
    setInterval(() => {
      for (const [name, html] of [...waiting]) receive({ name, html });
      dress(document);
    }, 5000);
    if (!("watch" in document.body.dataset)) return;
    const root = document.getElementById("charts");
    if (root) board = new Board(root, JSON.parse(document.body.dataset.runs));
    follow();
  }

  if ("locked" in document.body.dataset) enter();
  else start();
})();
