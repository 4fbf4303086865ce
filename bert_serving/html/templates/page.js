"use strict";
// Input from outside becomes text nodes and attributes, never markup.
(() => {
  const LONG_TEXT = 280;      // characters that a cell shows before "more"
  const WIDE_TEXT = 60;       // characters from which a text gets a wide column
  const MOST_CHOICES = 100;   // a label column with more labels has no menu to filter by
  const MANY_LABELS = 12;     // with more labels a matrix turns its column labels upright
  const MANY_MARKS = 3000;    // with more marks a chart is drawn on a canvas
  const UNSET = {};

  const make = (name, attributes = {}, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (value === false || value === undefined) continue;
      if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
      else element.setAttribute(key, value);
    }
    element.append(...children);
    return element;
  };
  const dataOf = (element) => JSON.parse(element.querySelector(':scope > script[type="application/json"]').textContent);
  const digits = (options) => new Intl.NumberFormat("en", options);
  const whole = digits({ maximumFractionDigits: 0 });
  const short = digits({ maximumSignificantDigits: 4 });
  const percent = digits({ style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
  const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

  // === Tables ===

  const NUMERIC = new Set(["number", "percent", "bar"]);
  const shown = (value, kind) => {
    if (value === null) return "";
    if (typeof value !== "number") return String(value);
    if (kind === "percent") return percent.format(value);
    return Number.isInteger(value) || Math.abs(value) >= 10000 ? whole.format(value) : short.format(value);
  };
  const plain = (value) => (value === null ? "" : value.pieces ? value.pieces.map((piece) => piece[0]).join(" ").replaceAll(" ##", "") : String(value));

  const pieceSpan = ([text, weight]) => {
    const span = make("span", { class: "piece" }, text);
    if (weight) {
      span.classList.add(weight > 0 ? "for" : "against");
      span.style.setProperty("--weight", Math.min(Math.abs(weight), 1).toFixed(3));
      span.title = (weight > 0 ? "+" : "−") + Math.abs(weight).toFixed(3);
    } else if (text === "[UNK]") span.classList.add("unknown");
    return span;
  };
  const piecesOf = (pieces) => {
    const paragraph = make("div", { class: "pieces", dir: "auto" });
    let word = null;
    for (const piece of pieces) {
      if (!word || !(piece[0].startsWith("##") && piece[0].length > 2)) {
        word = make("span", { class: "word" });
        paragraph.append(word, " ");
      }
      word.append(pieceSpan(piece));
    }
    return paragraph;
  };

  const textCell = (text) => {
    if (text.length <= LONG_TEXT) return make("span", { dir: "auto" }, text);
    const body = document.createTextNode(text.slice(0, LONG_TEXT) + "… ");
    const button = make("button", { type: "button", class: "more", "aria-expanded": "false" }, "more");
    button.addEventListener("click", () => {
      const open = button.getAttribute("aria-expanded") === "true";
      button.setAttribute("aria-expanded", String(!open));
      button.textContent = open ? "more" : "less";
      body.textContent = open ? text.slice(0, LONG_TEXT) + "… " : text + " ";
    });
    return make("span", { dir: "auto" }, body, button);
  };

  const cell = (value, kind, greatest) => {
    if (value !== null && value.pieces) return make("td", { class: value.pieces.length > WIDE_TEXT / 5 ? "text long" : "text" }, piecesOf(value.pieces));
    if (kind === "bar" && typeof value === "number") {
      const bar = make("span", { class: value < 0 ? "below" : undefined });
      bar.style.width = `${(100 * Math.abs(value)) / (greatest || 1)}%`;
      return make("td", { class: "bar" }, make("span", { class: "track" }, bar), shown(value, kind));
    }
    if (NUMERIC.has(kind)) return make("td", { class: kind === "bar" ? "bar" : "number" }, shown(value, kind));
    if (kind === "label") return make("td", { class: "label", title: plain(value) }, make("bdi", {}, plain(value)));
    const text = shown(value, kind);
    return make("td", { class: text.length > WIDE_TEXT ? "text long" : "text" }, textCell(text));
  };

  class Table {
    constructor(element) {
      const data = dataOf(element);
      this.element = element;
      this.columns = data.columns;
      this.rows = data.rows;
      this.size = data.size;
      this.view = this.rows.map((_, number) => number);
      this.sorted = { column: -1, direction: "none" };
      this.choices = new Map();
      this.query = "";
      this.page = 0;
      this.greatest = this.columns.map((column, number) =>
        column.kind === "bar" ? this.rows.reduce((most, row) => Math.max(most, Math.abs(row[number] || 0)), 0) : 0);
      this.body = make("tbody");
      this.count = make("span", { class: "count", role: "status", "aria-live": "polite" });
      this.heads = this.columns.map((column, number) =>
        make("th", { scope: "col", "aria-sort": "none", class: NUMERIC.has(column.kind) && column.kind !== "bar" ? "number" : undefined },
          make("button", { type: "button", onclick: () => this.sort(number) }, column.title)));
      const table = make("table", {}, make("thead", {}, make("tr", {}, ...this.heads)), this.body);
      if (data.caption) table.prepend(make("caption", {}, data.caption));
      const tools = make("div", { class: "tools" });
      if (data.filterable && this.rows.length > 1) {
        tools.append(make("input", { type: "search", placeholder: "Filter", "aria-label": `Filter ${data.caption || "rows"}`,
          oninput: (event) => this.filter(event.target.value) }));
        this.columns.forEach((column, number) => column.kind === "label" && this.offer(tools, column, number));
      }
      tools.append(this.count);
      tools.hidden = !data.filterable && this.rows.length <= this.size;
      this.previous = make("button", { type: "button", onclick: () => this.turn(-1) }, "Previous");
      this.next = make("button", { type: "button", onclick: () => this.turn(1) }, "Next");
      this.position = make("span", { class: "count" });
      this.turner = make("div", { class: "turn" }, this.previous, this.position, this.next);
      element.append(tools, make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": data.caption || "Table" }, table), this.turner);
      this.draw();
    }

    offer(tools, column, number) {
      const labels = [...new Set(this.rows.map((row) => row[number]))].filter((label) => label !== null).sort(collator.compare);
      if (labels.length < 2 || labels.length > MOST_CHOICES) return;
      const choice = make("select", { "aria-label": column.title, onchange: (event) => {
        const index = event.target.selectedIndex;
        this.choices.set(number, index === 0 ? UNSET : labels[index - 1]);
        this.select();
      } }, make("option", {}, `${column.title}: all`), ...labels.map((label) => make("option", {}, String(label))));
      tools.append(choice);
    }

    filter(query) {
      this.query = query.toLocaleLowerCase();
      this.select();
    }

    select() {
      const words = this.query.split(/\s+/).filter(Boolean);
      const chosen = [...this.choices].filter(([, label]) => label !== UNSET);
      const fits = (row) => {
        if (chosen.some(([number, label]) => row[number] !== label)) return false;
        if (!words.length) return true;
        const text = row.map((value, number) => `${plain(value)} ${typeof value === "number" ? shown(value, this.columns[number].kind) : ""}`).join(" ").toLocaleLowerCase();
        return words.every((word) => text.includes(word));
      };
      this.view = [];
      this.rows.forEach((row, number) => fits(row) && this.view.push(number));
      this.order();
      this.page = 0;
      this.draw();
    }

    sort(number) {
      const first = NUMERIC.has(this.columns[number].kind) ? "descending" : "ascending";
      const second = first === "ascending" ? "descending" : "ascending";
      const now = this.sorted.column === number ? this.sorted.direction : "none";
      this.sorted = { column: number, direction: now === "none" ? first : now === first ? second : "none" };
      this.heads.forEach((head, index) => head.setAttribute("aria-sort", index === number ? this.sorted.direction : "none"));
      this.order();
      this.page = 0;
      this.draw();
    }

    order() {
      const { column, direction } = this.sorted;
      if (direction === "none") {
        this.view.sort((one, other) => one - other);
        return;
      }
      const sign = direction === "ascending" ? 1 : -1;
      this.view.sort((one, other) => {
        const [a, b] = [this.rows[one][column], this.rows[other][column]];
        if (a === null || b === null) return (a === null) - (b === null) || one - other; // no value: last
        const difference = typeof a === "number" && typeof b === "number" ? a - b : collator.compare(plain(a), plain(b));
        return sign * difference || one - other;
      });
    }

    turn(step) {
      this.page += step;
      this.draw();
    }

    draw() {
      const pages = Math.max(Math.ceil(this.view.length / this.size), 1);
      const start = this.page * this.size;
      const numbers = this.view.slice(start, start + this.size);
      this.body.replaceChildren(...numbers.map((number) =>
        make("tr", {}, ...this.columns.map((column, index) => cell(this.rows[number][index], column.kind, this.greatest[index])))));
      if (!numbers.length)
        this.body.append(make("tr", {}, make("td", { class: "none", colspan: this.columns.length }, this.rows.length ? "no matching rows" : "no rows")));
      const all = `${whole.format(this.rows.length)} row${this.rows.length === 1 ? "" : "s"}`;
      this.count.textContent = this.view.length === this.rows.length ? all : `${whole.format(this.view.length)} of ${all}`;
      this.position.textContent = `page ${whole.format(this.page + 1)} of ${whole.format(pages)}`;
      this.previous.disabled = this.page === 0;
      this.next.disabled = this.page >= pages - 1;
      this.turner.hidden = pages === 1;
    }
  }

  const fill = (element) => {
    if (!element.dataset.filled) {
      element.dataset.filled = "true";
      new Table(element);
    }
  };

  // === Matrix ===

  const matrix = (element) => {
    const buttons = [...element.querySelectorAll("button[data-opens]")];
    const opened = element.querySelector(".opened");
    element.classList.toggle("many", element.querySelectorAll("thead th").length > MANY_LABELS);
    const close = () => {
      buttons.forEach((button) => button.setAttribute("aria-expanded", "false"));
      opened.querySelectorAll(".table").forEach((table) => { table.hidden = true; element.append(table); });
      opened.replaceChildren();
    };
    const open = (button) => {
      const again = button.getAttribute("aria-expanded") === "true";
      close();
      if (again) return;
      button.setAttribute("aria-expanded", "true");
      const table = element.querySelector(`.table[data-cell="${button.dataset.opens}"]`);
      table.hidden = false;
      fill(table);
      opened.append(make("h3", {}, button.getAttribute("aria-label")), table);
    };
    const arrows = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
    const size = element.querySelectorAll("tbody tr").length;
    const move = (event) => {
      if (event.key === "Escape") return close();
      const step = arrows[event.key];
      if (!step) return;
      let [row, column] = event.currentTarget.dataset.opens.split("-").map(Number);
      for (row += step[0], column += step[1]; row >= 0 && column >= 0 && row < size && column < size; row += step[0], column += step[1]) {
        const target = element.querySelector(`button[data-opens="${row}-${column}"]`);
        if (target) {
          event.preventDefault();
          target.focus();
          return;
        }
      }
    };
    for (const button of buttons) {
      button.addEventListener("click", () => open(button));
      button.addEventListener("keydown", move);
    }
  };

  // === Charts ===

  const color = (name) => {
    const probe = make("span", { style: `color: var(${name}); display: none` });
    document.body.append(probe);
    const value = getComputedStyle(probe).color;
    probe.remove();
    return value;
  };
  const chartConfig = () => {
    const [ink, quiet, line, accent] = ["--ink", "--quiet", "--line", "--for-fill"].map(color);
    const font = getComputedStyle(document.body).fontFamily;
    const words = { labelColor: quiet, titleColor: quiet, labelFont: font, titleFont: font, titleFontWeight: 500, labelFontSize: 12, titleFontSize: 12 };
    return {
      background: "transparent",
      font,
      view: { stroke: null },
      axis: { ...words, gridColor: line, domainColor: line, tickColor: line, gridOpacity: 0.6 },
      axisXQuantitative: { tickCount: 8 },
      axisYQuantitative: { tickCount: 5 },
      legend: { ...words, symbolStrokeWidth: 2 },
      header: words,
      title: { color: ink, font, anchor: "start", fontSize: 14, fontWeight: 600, subtitleColor: quiet },
      mark: { color: accent },
      text: { color: ink },
      rule: { color: quiet },
      style: { ink: { color: ink }, "quiet-rule": { color: quiet } },
    };
  };
  const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
  const marksIn = (spec) =>
    sum(Object.values(spec.datasets || {}).map((rows) => rows.length)) + (spec.data?.values?.length || 0) +
    sum(["layer", "hconcat", "vconcat", "concat"].flatMap((key) => spec[key] || []).map(marksIn));
  const draw = (figure) => {
    const plot = figure.querySelector(".plot");
    const spec = (figure.spec ??= dataOf(figure));
    figure.dataset.state = "drawing";
    figure.dataset.drawn = isDark() ? "dark" : "light";
    const renderer = marksIn(spec) > MANY_MARKS ? "canvas" : "svg";
    // Vega sets its own label on the element that it draws into.
    const inner = make("div");
    plot.replaceChildren(inner);
    figure.drawn = vegaEmbed(inner, spec, { actions: false, renderer, config: chartConfig(), tooltip: { theme: isDark() ? "dark" : "light" } })
      .then(() => { figure.dataset.state = "drawn"; })
      .catch((error) => {
        figure.dataset.state = "failed";
        plot.replaceChildren(make("p", { class: "failed" }, `This chart cannot be drawn: ${error.message}`));
      });
    return figure.drawn;
  };
  const charts = [...document.querySelectorAll("figure.chart")];
  const drawAll = async () => {
    for (const figure of charts) await (figure.drawn ?? draw(figure));
  };

  // === Theme ===

  const isDark = () => {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  };
  const redraw = () => charts.forEach((figure) => figure.drawn && draw(figure));
  document.getElementById("theme").addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    redraw();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

  // === Contents ===

  const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
  const visible = new Set();
  const watcher = new IntersectionObserver((entries) => {
    entries.forEach((entry) => (entry.isIntersecting ? visible.add(entry.target.id) : visible.delete(entry.target.id)));
    const current = [...links.keys()].find((id) => visible.has(id));
    links.forEach((link, id) => (id === current ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current")));
  }, { rootMargin: "-10% 0px -60% 0px" });
  document.querySelectorAll("main section").forEach((section) => watcher.observe(section));

  // === Start ===

  document.querySelectorAll(".table:not([hidden])").forEach((element) => {
    const details = element.closest("details");
    if (details) details.addEventListener("toggle", () => fill(element), { once: true });
    else fill(element);
  });
  document.querySelectorAll(".matrix").forEach(matrix);
  const opened = [];
  addEventListener("beforeprint", () => {
    document.querySelectorAll("details:not([open])").forEach((details) => { details.open = true; opened.push(details); });
    document.querySelectorAll("details .table").forEach(fill);
  });
  addEventListener("afterprint", () => opened.splice(0).forEach((details) => { details.open = false; }));
  // The page is painted before its charts are drawn.
  requestAnimationFrame(() => setTimeout(drawAll));
})();
