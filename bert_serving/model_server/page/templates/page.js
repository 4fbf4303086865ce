"use strict";
// Everything from outside (texts, names, answers, files) reaches the page as text nodes and attributes, never as markup.
(() => {
  const PAUSE = 250;             // milliseconds without a key until the texts are asked
  const MOST_LIVE = 50;          // more texts than this wait for the button
  const MOST_TEXTS = 1000;       // more than this is work for a file
  const MOST_BARS = 8;           // further classes open on demand
  const MOST_ELEMENTS = 4096;    // of an example made from a signature
  const REFRESH = 10000;         // milliseconds between two looks at the models
  const MOST_BYTES = 10e6;       // of a file
  const REQUEST_ROWS = 32;
  const TRIES = 6;

  const $ = (id) => document.getElementById(id);
  const make = (name, attributes = {}, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  };
  const percent = new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
  const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 5 });
  const count = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
  const root = new URL(".", document.baseURI);
  const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

  // === What there is to ask ===

  let models = [];
  let known = "";

  const model = () => models.find((each) => each.name === $("model").value);
  const answering = (each) => each.versions.filter((version) => version.state === "AVAILABLE");
  const version = () => {
    if (!model()) return undefined;
    const [kind, value] = JSON.parse($("version").value || '["latest",""]');
    const available = answering(model());
    const number = kind === "label" ? model().labels[value] : value;
    return kind === "latest" ? available[0] : available.find((each) => each.version === number);
  };
  const signature = () => version()?.signatures[$("signature").value];

  const fill = (select, options) => {
    const before = select.value;
    select.replaceChildren(...options.map(([value, text, off]) => {
      const option = make("option", { value }, text);
      option.disabled = Boolean(off);
      return option;
    }));
    if (options.some(([value, , off]) => value === before && !off)) select.value = before;
    return select.value !== before;
  };

  const fillVersions = () => {
    const chosen = model();
    const options = [];
    if (chosen) {
      const latest = answering(chosen)[0];
      options.push([JSON.stringify(["latest", ""]), latest ? `latest (${latest.version})` : "none answers", !latest]);
      for (const [label, number] of Object.entries(chosen.labels)) options.push([JSON.stringify(["label", label]), `${label} (${number})`]);
      for (const each of chosen.versions) {
        const off = each.state !== "AVAILABLE";
        options.push([JSON.stringify(["version", each.version]), off ? `${each.version}: ${each.state.toLowerCase()}` : each.version, off]);
      }
    }
    return fill($("version"), options);
  };
  const signatureNames = () => Object.keys(version()?.signatures || {}).sort((a, b) => (b === "serving_default") - (a === "serving_default") || a.localeCompare(b));
  const fillSignatures = () => fill($("signature"), signatureNames().map((name) => [name, name]));

  const shapeText = (shape) => (shape === null ? "any" : shape.length ? shape.map((size) => (size < 0 ? "?" : size)).join(" × ") : "scalar");
  const showSignatures = () => {
    const rows = [];
    for (const name of signatureNames()) {
      const each = version().signatures[name];
      for (const [direction, tensors] of [["in", each.inputs], ["out", each.outputs]]) {
        for (const [tensor, { type, shape }] of Object.entries(tensors)) {
          const cells = [direction, tensor, type, shapeText(shape)].map((text) => make("td", {}, text));
          rows.push(make("tr", {}, make("th", { scope: "row" }, name), ...cells));
        }
      }
    }
    $("signatures").tBodies[0].replaceChildren(...rows);
  };

  const trouble = (text) => {
    $("trouble").hidden = !text;
    if ($("trouble").textContent !== text) $("trouble").textContent = text;
  };
  const troubles = () => {
    if (!models.length) return "This server has no model.";
    const failed = (model()?.versions || []).filter((each) => each.error);
    return failed.map((each) => `Version ${each.version} of ${model().name}: ${each.error}`).join(" ");
  };

  const chosen = () => {
    trouble(troubles());
    showSignatures();
    const form = formOf(signature());
    $("texts").hidden = form.kind !== "texts";
    $("file").hidden = form.kind !== "texts";
    $("json").hidden = form.kind === "texts";
    const pairs = form.kind === "texts" && form.names.length === 2;
    $("pair-field").hidden = $("pair-column-field").hidden = !pairs;
    $("text-label").textContent = $("whole").checked ? "One text" : pairs ? "The first text of each, line by line" : "One text on each line";
    if (form.kind === "json" && signature()) $("body").value = JSON.stringify(exampleOf(signature(), form), null, 1);
    forget();
  };

  const refresh = async () => {
    let text;
    try {
      const reply = await fetch(new URL("page/models", root), { cache: "no-store" });
      text = await reply.text();
      if (!reply.ok) throw new Error(text);
      if (text !== known) models = JSON.parse(text).models;
    } catch {
      trouble("The server does not answer.");
      known = "";
      return;
    }
    if (text === known) return;
    known = text;
    const before = JSON.stringify(signature() || null);
    const changed = [fill($("model"), models.map((each) => [each.name, each.name])), fillVersions(), fillSignatures()];
    if (changed.some(Boolean) || JSON.stringify(signature() || null) !== before) chosen();
    else {
      trouble(troubles());
      showSignatures();
    }
  };

  // === From a signature to a request ===

  const isText = (tensor) => tensor.type === "string" && (tensor.shape === null || tensor.shape.length === 1 || (tensor.shape.length === 2 && tensor.shape[1] === 1));
  const takesExamples = (each) => Object.keys(each.inputs).join() === "inputs" && each.inputs.inputs.type === "string";
  const isNumbers = ({ type, shape }) => type === "float" && shape !== null && (shape.length === 1 || (shape.length === 2 && shape[1] === 1));
  const exampleMethod = (each) => {
    if (!takesExamples(each)) return null;
    if ("classes" in each.outputs || "scores" in each.outputs) return "classify";
    return Object.keys(each.outputs).join() === "outputs" && isNumbers(each.outputs.outputs) ? "regress" : null;
  };
  const formOf = (each) => {
    if (!each) return { kind: "json", method: "predict" };
    const method = exampleMethod(each);
    if (method) return { kind: "json", method };
    const names = Object.keys(each.inputs).sort();
    const texts = names.length >= 1 && names.length <= 2 && names.every((name) => isText(each.inputs[name]));
    return texts ? { kind: "texts", method: "predict", names } : { kind: "json", method: "predict" };
  };

  const valueOf = (type, shape) => {
    if (shape.length) {
      const size = shape[0] < 0 ? 3 : shape[0];
      return shape.reduce((product, each) => product * Math.max(each, 1), 1) > MOST_ELEMENTS ? [] : Array.from({ length: size }, () => valueOf(type, shape.slice(1)));
    }
    if (type === "string") return "text";
    if (type === "bool") return false;
    return type.includes("int") ? 1 : 0.5;
  };
  const exampleOf = (each, form) => {
    const named = $("signature").value === "serving_default" ? {} : { signature_name: $("signature").value };
    if (form.method !== "predict") return { ...named, examples: [{ text: "text" }] };
    const inputs = Object.entries(each.inputs);
    const rows = inputs.every(([, { shape }]) => shape === null || (shape.length && shape[0] < 0));
    const values = inputs.map(([name, { type, shape }]) => [name, valueOf(type, shape === null ? [] : rows ? shape.slice(1) : shape)]);
    return rows ? { ...named, instances: [Object.fromEntries(values)] } : { ...named, inputs: Object.fromEntries(values) };
  };

  const place = () => {
    const [kind, value] = JSON.parse($("version").value || '["latest",""]');
    const part = kind === "version" ? `/versions/${value}` : kind === "label" ? `/labels/${encodeURIComponent(value)}` : "";
    return new URL(`v1/models/${encodeURIComponent($("model").value)}${part}:${formOf(signature()).method}`, root).href;
  };
  const textsBody = (columns) => {
    const each = signature();
    const { names } = formOf(each);
    const wrapped = (name, text) => (each.inputs[name].shape?.length === 2 ? [text] : text);
    const rows = columns[0].map((_, row) => (names.length === 1 ? wrapped(names[0], columns[0][row]) : Object.fromEntries(names.map((name, column) => [name, wrapped(name, columns[column][row])]))));
    const named = $("signature").value === "serving_default" ? {} : { signature_name: $("signature").value };
    return JSON.stringify({ ...named, instances: rows });
  };

  const linesOf = (text) => {
    if ($("whole").checked) return text.trim() ? [text] : [];
    const lines = text.split("\n").map((line) => line.trim());
    while (lines.length && !lines.at(-1)) lines.pop();
    return lines;
  };
  const typed = () => {
    const first = linesOf($("text").value);
    if ($("pair-field").hidden) {
      const texts = first.filter(Boolean);
      return { columns: [texts], rows: texts.length };
    }
    const second = linesOf($("pair").value);
    const rows = Math.max(first.length, second.length);
    const same = first.length === second.length;
    return { columns: [first, second], rows, fault: same ? "" : `${count(first.length, "first text")}, ${count(second.length, "second text")}: give one for each.` };
  };

  // === Asking ===

  // The server writes NaN and Infinity as they are, which JSON does not know.
  const parse = (text) => {
    try {
      return JSON.parse(text);
    } catch {
      return JSON.parse(text.replace(/"(?:[^"\\]|\\.)*"|-?Infinity|NaN/g, (found) => (found.startsWith('"') ? found : `"${found}"`)));
    }
  };
  const send = async (body, signal) => {
    let reply;
    let text;
    try {
      reply = await fetch(place(), { method: "POST", body, headers: { "Content-Type": "application/json" }, signal });
      text = await reply.text();
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw Object.assign(new Error("The server does not answer."), { again: true });
    }
    let answer;
    try {
      answer = parse(text);
    } catch {
      throw new Error(`The server did not answer in JSON (HTTP ${reply.status}).`);
    }
    if (!reply.ok) throw Object.assign(new Error(answer.error || `HTTP ${reply.status}`), { again: reply.status === 503 || reply.status === 429 });
    return answer;
  };

  let asking = null;
  let timer = 0;

  const say = (text) => { $("status").textContent = text; };
  const forget = () => {
    clearTimeout(timer);
    asking?.abort();
    $("answers").replaceChildren();
    say("Nothing asked yet.");
    showCalls();
    if (formOf(signature()).kind === "texts" && $("text").value.trim()) later();
  };
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(() => typed().rows <= MOST_LIVE && ask(), PAUSE);
  };

  const requested = () => {
    if (formOf(signature()).kind === "json") return { body: $("body").value, rows: 0, fault: "" };
    const { columns, rows, fault } = typed();
    if (rows > MOST_TEXTS) return { fault: `${count(rows, "text")} are too many for this page: put them into a file.` };
    return { body: rows && !fault ? textsBody(columns) : "", columns, rows, fault };
  };

  const ask = async () => {
    clearTimeout(timer);
    asking?.abort();
    if (!signature()) return say("No version of this model answers.");
    const request = requested();
    if (request.fault || !request.body) {
      $("answers").replaceChildren();
      return say(request.fault || "Nothing asked yet.");
    }
    const mine = (asking = new AbortController());
    $("answers").classList.add("old");
    const started = performance.now();
    try {
      const answer = await send(request.body, mine.signal);
      const milliseconds = performance.now() - started;
      if (mine !== asking) return undefined;
      const said = show(answer, request);
      const many = request.rows ? `${count(request.rows, "text")} in ` : "Answered in ";
      say(`${many}${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms${said ? `: ${said}` : "."}`);
    } catch (error) {
      if (mine !== asking || error.name === "AbortError") return undefined;
      $("answers").replaceChildren();
      say(error.again ? error.message : `Refused: ${error.message}`);
    }
    $("answers").classList.remove("old");
    return undefined;
  };

  // === Answers ===

  const isShares = (value) => Array.isArray(value) && value.length > 0 && value.every((each) => typeof each === "number" && each >= 0 && each <= 1.000001);
  // Rows of {output: value}; a server names the output only when there are several.
  const rowsOf = (answer) => {
    const outputs = Object.keys(signature().outputs).sort();
    return (answer.predictions || []).map((row) => (outputs.length === 1 ? { [outputs[0]]: row } : row));
  };
  const readRow = (row) => {
    const outputs = signature().outputs;
    const floats = Object.keys(outputs).sort().filter((name) => outputs[name].type === "float");
    const name = "probabilities" in row ? "probabilities" : floats.find((each) => isShares(row[each]));
    const values = name === undefined ? null : row[name];
    if (!Array.isArray(values) || !values.every((each) => typeof each === "number")) return { label: null, shares: null, row };
    const names = version().classes.length === values.length ? version().classes : values.map((_, position) => `class ${position}`);
    if (values.length === 1 || !isShares(values)) return { label: typeof row.label === "string" ? row.label : values.map((value) => short.format(value)).join(", "), shares: null, names, values, row };
    const shares = values.map((value, position) => [names[position], value]).sort((a, b) => b[1] - a[1]);
    return { label: typeof row.label === "string" ? row.label : shares[0][0], shares, names, values, row };
  };

  const bar = ([name, value], position) => {
    const filled = make("span");
    filled.style.width = `${Math.min(value, 1) * 100}%`;
    const parts = [make("span", { class: "name", dir: "auto" }, name), make("span", { class: "track", "aria-hidden": "true" }, filled), make("span", { class: "figure" }, percent.format(value))];
    return make("li", position === 0 ? { class: "first" } : {}, ...parts);
  };
  const barsOf = (shares) => {
    const parts = [make("ul", { class: "bars" }, ...shares.slice(0, MOST_BARS).map(bar))];
    if (shares.length > MOST_BARS) {
      const rest = make("ul", { class: "bars" }, ...shares.slice(MOST_BARS).map((each) => bar(each, -1)));
      parts.push(make("details", {}, make("summary", {}, `${shares.length - MOST_BARS} more`), rest));
    }
    return parts;
  };
  const json = (value) => make("pre", { tabindex: "0", role: "region", "aria-label": "Answer as JSON" }, JSON.stringify(value, null, 1));

  const show = (answer, request) => {
    if (!request.columns || !answer.predictions) {
      $("answers").replaceChildren(json(answer));
      return "";
    }
    const found = rowsOf(answer).map(readRow);
    $("answers").replaceChildren(...found.map((each, position) => {
      const asked = request.columns.map((column) => column[position]).join(" / ");
      const parts = [make("p", { class: "asked", dir: "auto" }, asked)];
      if (each.label !== null) parts.push(make("p", { class: "said", dir: "auto" }, each.label || "no label"));
      parts.push(...(each.shares ? barsOf(each.shares) : each.label === null ? [json(each.row)] : []));
      return make("article", { class: "answer", "aria-label": `Answer ${position + 1}` }, ...parts);
    }));
    const first = found[0];
    if (found.length !== 1 || first.label === null) return "";
    return first.shares ? `${first.label || "no label"} ${percent.format(first.shares[0][1])}.` : `${first.label}.`;
  };

  // === The same from a program ===

  const shell = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  // A JSON string is a Python string, too.
  const python = (value) => JSON.stringify(value);
  const isClassifier = (each) => ["text", "text,text_pair"].includes(Object.keys(each.inputs).sort().join()) && "label" in each.outputs && "probabilities" in each.outputs;

  const pythonCall = (request) => {
    if (!request.columns || !isClassifier(signature())) {
      return ["import httpx", "", `body = ${python(request.body)}`, `print(httpx.post(${python(place())}, content=body, timeout=30).json())`].join("\n");
    }
    const [kind, value] = JSON.parse($("version").value);
    const more = [];
    if (request.columns.length === 2) more.push(`text_pairs=${listOf(request.columns[1])}`);
    if (kind === "version") more.push(`version=${value}`);
    if (kind === "label") more.push(`version_label=${python(value)}`);
    if ($("signature").value !== "serving_default") more.push(`signature=${python($("signature").value)}`);
    const given = [python($("model").value), listOf(request.columns[0]), ...more].join(", ");
    return [
      "from bert_serving.clients.rest_client import RestClient",
      "",
      `with RestClient(${python(root.href.replace(/\/$/, ""))}) as client:`,
      `    for prediction in client.predict(${given}):`,
      "        print(prediction.label, prediction.probabilities)",
    ].join("\n");
  };
  const listOf = (texts) => `[${texts.map(python).join(", ")}]`;

  const showCalls = () => {
    let request = signature() ? requested() : {};
    if (signature() && !request.body && formOf(signature()).kind === "texts") {
      const columns = formOf(signature()).names.map(() => ["text"]);
      request = { columns, body: textsBody(columns) };
    }
    $("curl").textContent = request.body ? `curl -d ${shell(request.body)} ${shell(place())}` : "";
    $("python").textContent = request.body ? pythonCall(request) : "";
  };

  // === A file ===

  const delimiterOf = (text) => {
    const line = text.slice(0, text.search(/[\r\n]|$/));
    const counts = ["\t", ";", ","].map((each) => [line.split(each).length, each]);
    return counts.sort((a, b) => b[0] - a[0])[0][1];
  };
  // Quotes as in RFC 4180; in a file with tabs a quote is a character like any other.
  const parseTable = (text, delimiter) => {
    const rows = [];
    let row = [];
    let cell = "";
    let quoted = false;
    let place = 0;
    const endCell = () => { row.push(cell); cell = ""; };
    const endRow = () => { endCell(); rows.push(row); row = []; };
    while (place < text.length) {
      const character = text[place];
      if (quoted) {
        if (character === '"' && text[place + 1] === '"') { cell += '"'; place += 1; }
        else if (character === '"') quoted = false;
        else cell += character;
      } else if (character === '"' && cell === "" && delimiter !== "\t") quoted = true;
      else if (character === delimiter) endCell();
      else if (character === "\n" || character === "\r") {
        if (character === "\r" && text[place + 1] === "\n") place += 1;
        endRow();
      } else cell += character;
      place += 1;
    }
    if (quoted) throw new Error(`A quote that begins in row ${rows.length + 1} never ends.`);
    if (cell !== "" || row.length) endRow();
    return rows.filter((each) => each.length > 1 || each[0] !== "");
  };
  const writeTable = (rows, delimiter) => {
    const cell = (value) => {
      const text = String(value);
      if (delimiter === "\t") return text.replace(/[\t\r\n]/g, " ");
      return /["\r\n]/.test(text) || text.includes(delimiter) ? `"${text.replaceAll('"', '""')}"` : text;
    };
    return rows.map((row) => `${row.map(cell).join(delimiter)}\n`).join("");
  };

  let table = null;
  let stopping = null;
  let link = "";

  const tell = (text) => { $("csv-status").textContent = text; };
  const likely = (headings, names) => Math.max(headings.findIndex((each) => names.includes(each.trim().toLowerCase())), 0);

  const openFile = async () => {
    const [file] = $("upload").files;
    table = null;
    $("csv-fields").hidden = $("download").hidden = $("progress").hidden = true;
    tell("");
    if (!file) return;
    try {
      if (file.size > MOST_BYTES) throw new Error("The file is larger than 10 MB: use bert-serving predict with --input and --output.");
      let text;
      try {
        text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
      } catch {
        throw new Error("The file is not UTF-8 text: save it as CSV UTF-8.");
      }
      const delimiter = delimiterOf(text);
      const [headings, ...rows] = parseTable(text, delimiter);
      if (!headings || !rows.length) throw new Error("The file has no row below its headings.");
      const odd = rows.findIndex((row) => row.length !== headings.length);
      if (odd >= 0) throw new Error(`Row ${odd + 2} has ${count(rows[odd].length, "cell")}, the headings ${headings.length}.`);
      table = { name: file.name, delimiter, headings, rows };
    } catch (error) {
      tell(error.message);
      return;
    }
    const options = table.headings.map((heading, position) => [String(position), heading || `column ${position + 1}`]);
    fill($("column"), options);
    fill($("pair-column"), options);
    $("column").value = String(likely(table.headings, ["text", "sentence", "sentence1", "review", "message", "tweet", "question1", "premise"]));
    $("pair-column").value = String(likely(table.headings, ["text_pair", "sentence2", "question2", "hypothesis"]));
    $("csv-fields").hidden = false;
    tell(`${count(table.rows.length, "row")}.`);
  };

  const sendPatiently = async (body, signal) => {
    for (let tries = 1; ; tries += 1) {
      try {
        return await send(body, signal);
      } catch (error) {
        if (!error.again || tries === TRIES) throw error;
        await pause(Math.random() * 200 * 2 ** tries);
      }
    }
  };
  const freeName = (name, taken) => {
    let free = name;
    for (let number = 2; taken.includes(free); number += 1) free = `${name}_${number}`;
    taken.push(free);
    return free;
  };
  const cellsOf = (found) => (found.values ? [found.label, ...found.values] : Object.keys(found.row).sort().map((name) => JSON.stringify(found.row[name])));
  const addedHeadings = (found) => {
    const taken = [...table.headings];
    const names = found.values ? ["label", ...(found.values.length === 1 ? ["value"] : found.names)] : Object.keys(found.row).sort();
    return names.map((name) => freeName(name, taken));
  };

  const predictFile = async () => {
    if (!table || stopping) return;
    const columns = [Number($("column").value), ...($("pair-column-field").hidden ? [] : [Number($("pair-column").value)])];
    stopping = new AbortController();
    $("download").hidden = true;
    $("cancel").hidden = $("progress").hidden = false;
    $("progress").value = 0;
    const out = [];
    const started = performance.now();
    try {
      for (let start = 0; start < table.rows.length; start += REQUEST_ROWS) {
        const rows = table.rows.slice(start, start + REQUEST_ROWS);
        const answer = await sendPatiently(textsBody(columns.map((column) => rows.map((row) => row[column]))), stopping.signal);
        const found = rowsOf(answer).map(readRow);
        if (found.length !== rows.length) throw new Error("the model gives no answer for each text.");
        if (!out.length) out.push([...table.headings, ...addedHeadings(found[0])]);
        rows.forEach((row, position) => out.push([...row, ...cellsOf(found[position])]));
        $("progress").value = (start + rows.length) / table.rows.length;
      }
      const file = new Blob([table.delimiter === "," || table.delimiter === ";" ? "\ufeff" : "", writeTable(out, table.delimiter)], { type: "text/csv" });
      URL.revokeObjectURL(link);
      link = URL.createObjectURL(file);
      const name = table.name.replace(/(\.[^.]*)?$/, (ending) => `.predictions${ending || ".csv"}`);
      Object.assign($("download"), { href: link, download: name, textContent: `Download ${name}`, hidden: false });
      tell(`${count(table.rows.length, "row")} answered in ${((performance.now() - started) / 1000).toFixed(1)} s.`);
    } catch (error) {
      tell(error.name === "AbortError" ? "Stopped." : `Row ${out.length ? out.length + 1 : 2} and on: ${error.message}`);
    }
    $("cancel").hidden = $("progress").hidden = true;
    stopping = null;
  };

  // === Events ===

  const on = (id, event, act) => $(id).addEventListener(event, act);
  const submit = (id, act) => on(id, "submit", (event) => { event.preventDefault(); act(); });

  on("model", "change", () => { fillVersions(); fillSignatures(); chosen(); });
  on("version", "change", () => { fillSignatures(); chosen(); });
  on("signature", "change", chosen);
  on("whole", "change", chosen);
  for (const id of ["text", "pair"]) on(id, "input", () => { showCalls(); later(); });
  on("body", "input", showCalls);
  for (const id of ["text", "pair", "body"]) on(id, "keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) ask(); });
  for (const id of ["texts", "json"]) submit(id, ask);
  submit("choice", ask);
  on("upload", "change", openFile);
  submit("csv", predictFile);
  on("cancel", "click", () => stopping?.abort());
  for (const button of document.querySelectorAll(".copy")) {
    button.addEventListener("click", async () => {
      const text = $(button.dataset.copies).textContent;
      try {
        await navigator.clipboard.writeText(text);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren($(button.dataset.copies));
        button.textContent = "Press Ctrl+C";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  }
  on("theme", "click", () => {
    const style = getComputedStyle(document.documentElement).colorScheme;
    const dark = style === "dark" || (style !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
    document.documentElement.dataset.theme = dark ? "light" : "dark";
  });

  refresh();
  setInterval(() => document.hidden || refresh(), REFRESH);
  addEventListener("focus", refresh);
})();
