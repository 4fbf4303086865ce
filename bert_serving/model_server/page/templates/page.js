"use strict";
// All data (texts, names, predictions, files) enters the page as text nodes and attributes, never as markup.
(() => {
  const TYPING_PAUSE = 250;           // milliseconds from the last key to the request
  const MAX_LIVE_TEXTS = 50;          // more texts than this wait for the button
  const MAX_TEXTS = 1000;             // more than this must be uploaded as a file
  const MAX_BARS = 8;                 // further classes open on demand
  const MAX_EXAMPLE_ELEMENTS = 4096;  // of an example made from a signature
  const REFRESH_INTERVAL = 10000;     // milliseconds between requests for the list of models
  const MAX_FILE_BYTES = 10e6;
  const ROWS_PER_REQUEST = 32;
  const MAX_TRIES = 6;

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
  const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

  // === Models, versions and signatures ===

  let models = [];
  let modelsText = "";

  const model = () => models.find(({ name }) => name === $("model").value);
  const availableVersions = ({ versions }) => versions.filter(({ state }) => state === "AVAILABLE");
  // ["latest", ""], ["label", name] or ["version", number]
  const versionChoice = () => JSON.parse($("version").value || '["latest",""]');
  const version = () => {
    if (!model()) return undefined;
    const [kind, value] = versionChoice();
    const available = availableVersions(model());
    const number = kind === "label" ? model().labels[value] : value;
    return kind === "latest" ? available[0] : available.find((candidate) => candidate.version === number);
  };
  const signature = () => version()?.signatures[$("signature").value];

  const fill = (select, options) => {
    const before = select.value;
    select.replaceChildren(...options.map(([value, text, disabled]) => {
      const option = make("option", { value }, text);
      option.disabled = Boolean(disabled);
      return option;
    }));
    if (options.some(([value, , disabled]) => value === before && !disabled)) select.value = before;
    return select.value !== before;
  };

  const fillVersions = () => {
    const selected = model();
    const options = [];
    if (selected) {
      const latest = availableVersions(selected)[0];
      options.push([JSON.stringify(["latest", ""]), latest ? `latest (${latest.version})` : "none available", !latest]);
      for (const [label, number] of Object.entries(selected.labels)) options.push([JSON.stringify(["label", label]), `${label} (${number})`]);
      for (const { version: number, state } of selected.versions) {
        const disabled = state !== "AVAILABLE";
        options.push([JSON.stringify(["version", number]), disabled ? `${number}: ${state.toLowerCase()}` : number, disabled]);
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
      const { inputs, outputs } = version().signatures[name];
      for (const [direction, tensors] of [["input", inputs], ["output", outputs]]) {
        for (const [tensor, { type, shape }] of Object.entries(tensors)) {
          const cells = [direction, tensor, type, shapeText(shape)].map((text) => make("td", {}, text));
          rows.push(make("tr", {}, make("th", { scope: "row" }, name), ...cells));
        }
      }
    }
    $("signatures").tBodies[0].replaceChildren(...rows);
  };

  const showProblem = (text) => {
    $("problem").hidden = !text;
    if ($("problem").textContent !== text) $("problem").textContent = text;
  };
  const problems = () => {
    if (!models.length) return "This server has no models.";
    const failed = (model()?.versions || []).filter(({ error }) => error);
    return failed.map(({ version: number, error }) => `Version ${number} of ${model().name}: ${error}`).join(" ");
  };

  const selectionChanged = () => {
    showProblem(problems());
    showSignatures();
    const form = formOf(signature());
    $("texts").hidden = form.kind !== "texts";
    $("file").hidden = form.kind !== "texts";
    $("json").hidden = form.kind === "texts";
    const pairs = form.kind === "texts" && form.names.length === 2;
    $("pair-field").hidden = $("pair-column-field").hidden = !pairs;
    $("text-label").textContent = $("single-text").checked ? "One text" : pairs ? "First texts, one per line" : "One text per line";
    if (form.kind === "json" && signature()) $("body").value = JSON.stringify(exampleOf(signature(), form), null, 1);
    reset();
  };

  const refresh = async () => {
    let text;
    try {
      const reply = await fetch(new URL("page/models", root), { cache: "no-store" });
      text = await reply.text();
      if (!reply.ok) throw new Error(text);
      if (text !== modelsText) models = JSON.parse(text).models;
    } catch {
      showProblem("The server does not respond.");
      modelsText = "";
      return;
    }
    if (text === modelsText) return;
    modelsText = text;
    const before = JSON.stringify(signature() || null);
    const changed = [fill($("model"), models.map(({ name }) => [name, name])), fillVersions(), fillSignatures()];
    if (changed.some(Boolean) || JSON.stringify(signature() || null) !== before) selectionChanged();
    else {
      showProblem(problems());
      showSignatures();
    }
  };

  // === From a signature to a request ===

  const isText = (tensor) => tensor.type === "string" && (tensor.shape === null || tensor.shape.length === 1 || (tensor.shape.length === 2 && tensor.shape[1] === 1));
  const takesExamples = ({ inputs }) => Object.keys(inputs).join() === "inputs" && inputs.inputs.type === "string";
  const isNumbers = ({ type, shape }) => type === "float" && shape !== null && (shape.length === 1 || (shape.length === 2 && shape[1] === 1));
  const exampleMethod = ({ inputs, outputs }) => {
    if (!takesExamples({ inputs })) return null;
    if ("classes" in outputs || "scores" in outputs) return "classify";
    return Object.keys(outputs).join() === "outputs" && isNumbers(outputs.outputs) ? "regress" : null;
  };
  const formOf = (selected) => {
    if (!selected) return { kind: "json", method: "predict" };
    const method = exampleMethod(selected);
    if (method) return { kind: "json", method };
    const names = Object.keys(selected.inputs).sort();
    const texts = names.length >= 1 && names.length <= 2 && names.every((name) => isText(selected.inputs[name]));
    return texts ? { kind: "texts", method: "predict", names } : { kind: "json", method: "predict" };
  };

  const valueOf = (type, shape) => {
    if (shape.length) {
      const size = shape[0] < 0 ? 3 : shape[0];
      return shape.reduce((product, length) => product * Math.max(length, 1), 1) > MAX_EXAMPLE_ELEMENTS ? [] : Array.from({ length: size }, () => valueOf(type, shape.slice(1)));
    }
    if (type === "string") return "text";
    if (type === "bool") return false;
    return type.includes("int") ? 1 : 0.5;
  };
  const signatureField = () => ($("signature").value === "serving_default" ? {} : { signature_name: $("signature").value });
  const exampleOf = (selected, form) => {
    if (form.method !== "predict") return { ...signatureField(), examples: [{ text: "text" }] };
    const inputs = Object.entries(selected.inputs);
    const rows = inputs.every(([, { shape }]) => shape === null || (shape.length && shape[0] < 0));
    const values = inputs.map(([name, { type, shape }]) => [name, valueOf(type, shape === null ? [] : rows ? shape.slice(1) : shape)]);
    return rows ? { ...signatureField(), instances: [Object.fromEntries(values)] } : { ...signatureField(), inputs: Object.fromEntries(values) };
  };

  // The address for programs; with a version, the one that the page itself asks, so that it knows the classes of the answer.
  const requestUrl = (asked) => {
    const [kind, value] = asked ? ["version", asked.version] : versionChoice();
    const part = kind === "version" ? `/versions/${value}` : kind === "label" ? `/labels/${encodeURIComponent(value)}` : "";
    return new URL(`v1/models/${encodeURIComponent($("model").value)}${part}:${formOf(signature()).method}`, root).href;
  };
  const textsBody = (columns) => {
    const { inputs } = signature();
    const { names } = formOf(signature());
    const wrapped = (name, text) => (inputs[name].shape?.length === 2 ? [text] : text);
    const rows = columns[0].map((_, row) => (names.length === 1 ? wrapped(names[0], columns[0][row]) : Object.fromEntries(names.map((name, column) => [name, wrapped(name, columns[column][row])]))));
    return JSON.stringify({ ...signatureField(), instances: rows });
  };

  const linesOf = (text) => {
    if ($("single-text").checked) return text.trim() ? [text] : [];
    const lines = text.split("\n").map((line) => line.trim());
    while (lines.length && !lines.at(-1)) lines.pop();
    return lines;
  };
  const typedTexts = () => {
    const first = linesOf($("text").value);
    if ($("pair-field").hidden) {
      const texts = first.filter(Boolean);
      return { columns: [texts], rows: texts.length };
    }
    const second = linesOf($("pair").value);
    const rows = Math.max(first.length, second.length);
    const same = first.length === second.length;
    return { columns: [first, second], rows, fault: same ? "" : `${count(first.length, "first text")}, ${count(second.length, "second text")}: enter as many second texts as first texts.` };
  };

  // === Requests ===

  // The server writes NaN and Infinity, which JSON.parse refuses.
  const parse = (text) => {
    try {
      return JSON.parse(text);
    } catch {
      return JSON.parse(text.replace(/"(?:[^"\\]|\\.)*"|-?Infinity|NaN/g, (match) => (match.startsWith('"') ? match : `"${match}"`)));
    }
  };
  const send = async (body, signal, asked) => {
    let reply;
    let text;
    try {
      reply = await fetch(requestUrl(asked), { method: "POST", body, headers: { "Content-Type": "application/json" }, signal });
      text = await reply.text();
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw Object.assign(new Error("The server does not respond."), { retryable: true });
    }
    let response;
    try {
      response = parse(text);
    } catch {
      throw new Error(`The response of the server is not JSON (HTTP ${reply.status}).`);
    }
    if (!reply.ok) throw Object.assign(new Error(response.error || `HTTP ${reply.status}`), { status: reply.status, retryable: reply.status === 503 || reply.status === 429 });
    return response;
  };

  let running = null;
  let timer = 0;

  const NOTHING_YET = "No predictions yet.";
  const showStatus = (text) => { $("status").textContent = text; };
  const reset = () => {
    clearTimeout(timer);
    running?.abort();
    $("predictions").replaceChildren();
    showStatus(NOTHING_YET);
    showCalls();
    if (formOf(signature()).kind === "texts" && $("text").value.trim()) predictSoon();
  };
  const predictSoon = () => {
    clearTimeout(timer);
    timer = setTimeout(() => typedTexts().rows <= MAX_LIVE_TEXTS && predict(), TYPING_PAUSE);
  };

  const currentRequest = () => {
    if (formOf(signature()).kind === "json") return { body: $("body").value, rows: 0, fault: "" };
    const { columns, rows, fault } = typedTexts();
    if (rows > MAX_TEXTS) return { fault: `${count(rows, "text")} are too many for this page: upload them as a file.` };
    return { body: rows && !fault ? textsBody(columns) : "", columns, rows, fault };
  };

  const predict = async () => {
    clearTimeout(timer);
    running?.abort();
    if (!signature()) return showStatus("No version of this model is available.");
    const request = currentRequest();
    if (request.fault || !request.body) {
      $("predictions").replaceChildren();
      return showStatus(request.fault || NOTHING_YET);
    }
    const controller = (running = new AbortController());
    $("predictions").classList.add("outdated");
    const started = performance.now();
    try {
      let asked = version();
      const response = await send(request.body, controller.signal, asked).catch(async (error) => {
        // The version is gone since the page was told of it; what it chose by may be another one now.
        if (error.status !== 404 || versionChoice()[0] === "version") throw error;
        await refresh();
        if (controller !== running || !version() || version().version === asked.version) throw error;
        asked = version();
        return send(request.body, controller.signal, asked);
      });
      const milliseconds = performance.now() - started;
      if (controller !== running) return undefined;
      const summary = showPredictions(response, request, asked);
      const subject = request.rows ? count(request.rows, "text") : "Response";
      showStatus(`${subject} in ${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms${summary ? `: ${summary}` : "."}`);
    } catch (error) {
      if (controller !== running || error.name === "AbortError") return undefined;
      $("predictions").replaceChildren();
      showStatus(error.retryable ? error.message : `Request refused: ${error.message}`);
    }
    $("predictions").classList.remove("outdated");
    return undefined;
  };

  // === Predictions ===

  const isProbabilities = (value) => Array.isArray(value) && value.length > 0 && value.every((number) => typeof number === "number" && number >= 0 && number <= 1.000001);
  // Rows of {output: value}; a server names the output only when there are several.
  const rowsOf = (response) => {
    const outputs = Object.keys(signature().outputs).sort();
    return (response.predictions || []).map((row) => (outputs.length === 1 ? { [outputs[0]]: row } : row));
  };
  // label: text or null; confidences: [class, probability] from high to low, or null; names and values: of all classes; row: as it came.
  const readPrediction = (row, { classes, signatures }) => {
    const outputs = signature().outputs;
    const floats = Object.keys(outputs).sort().filter((name) => outputs[name].type === "float");
    const name = "probabilities" in row ? "probabilities" : floats.find((output) => isProbabilities(row[output]));
    const values = name === undefined ? null : row[name];
    if (!Array.isArray(values) || !values.every((value) => typeof value === "number")) return { label: null, confidences: null, row };
    // A labels file in another order than the model's would give every bar a wrong name.
    const given = classes.indexOf(row.label);
    // With fitted thresholds the predicted class need not be the likeliest.
    const fitted = "thresholds" in (signatures.labels?.outputs || {});
    const contradicted = !fitted && given >= 0 && isProbabilities(values) && values[given] < Math.max(...values);
    const names = classes.length === values.length && !contradicted ? classes : values.map((_, position) => `class ${position}`);
    if (values.length === 1 || !isProbabilities(values)) return { label: typeof row.label === "string" ? row.label : values.map((value) => short.format(value)).join(", "), confidences: null, names, values, row };
    const confidences = values.map((value, position) => [names[position], value]).sort((a, b) => b[1] - a[1]);
    return { label: typeof row.label === "string" ? row.label : confidences[0][0], confidences, names, values, row };
  };

  const bar = ([name, value], position) => {
    const filled = make("span");
    filled.style.width = `${Math.min(value, 1) * 100}%`;
    const parts = [make("span", { class: "name", dir: "auto" }, name), make("span", { class: "track", "aria-hidden": "true" }, filled), make("span", { class: "figure" }, percent.format(value))];
    return make("li", position === 0 ? { class: "first" } : {}, ...parts);
  };
  const barsOf = (confidences) => {
    const parts = [make("ul", { class: "bars", "aria-label": "Confidence by class" }, ...confidences.slice(0, MAX_BARS).map(bar))];
    if (confidences.length > MAX_BARS) {
      const others = make("ul", { class: "bars", "aria-label": "Confidence by class" }, ...confidences.slice(MAX_BARS).map((confidence) => bar(confidence, -1)));
      parts.push(make("details", {}, make("summary", {}, `${confidences.length - MAX_BARS} more classes`), others));
    }
    return parts;
  };
  const json = (value) => make("pre", { tabindex: "0", role: "region", "aria-label": "Response as JSON" }, JSON.stringify(value, null, 1));

  const showPredictions = (response, request, asked) => {
    if (!request.columns || !response.predictions) {
      $("predictions").replaceChildren(json(response));
      return "";
    }
    const predictions = rowsOf(response).map((row) => readPrediction(row, asked));
    $("predictions").replaceChildren(...predictions.map(({ label, confidences, row }, position) => {
      const text = request.columns.map((column) => column[position]).join(" / ");
      const parts = [make("p", { class: "text", dir: "auto" }, text)];
      if (label !== null) parts.push(make("p", { class: "label", dir: "auto" }, label || "empty label"));
      if (row.windows > 1) parts.push(make("p", { class: "window" }, `window ${row.deciding_window + 1} of ${row.windows} decided`));
      parts.push(...(confidences ? barsOf(confidences) : label === null ? [json(row)] : []));
      return make("article", { class: "prediction", "aria-label": `Prediction ${position + 1}` }, ...parts);
    }));
    const [first] = predictions;
    if (predictions.length !== 1 || first.label === null) return "";
    const [, confidence] = first.confidences?.find(([name]) => name === first.label) || first.confidences?.[0] || [];
    return first.confidences ? `predicted label ${first.label || "empty"}, confidence ${percent.format(confidence)}.` : `predicted value ${first.label}.`;
  };

  // === Calls from a program ===

  const shell = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  // A JSON string is a Python string, too.
  const python = (value) => JSON.stringify(value);
  const isClassifier = ({ inputs, outputs }) => ["text", "text,text_pair"].includes(Object.keys(inputs).sort().join()) && "label" in outputs && "probabilities" in outputs;

  const pythonCall = (request) => {
    if (!request.columns || !isClassifier(signature())) {
      return ["import httpx", "", `body = ${python(request.body)}`, `print(httpx.post(${python(requestUrl())}, content=body, timeout=30).json())`].join("\n");
    }
    const [kind, value] = versionChoice();
    const options = [];
    if (request.columns.length === 2) options.push(`text_pairs=${listOf(request.columns[1])}`);
    if (kind === "version") options.push(`version=${value}`);
    if (kind === "label") options.push(`version_label=${python(value)}`);
    if ($("signature").value !== "serving_default") options.push(`signature=${python($("signature").value)}`);
    const call = [python($("model").value), listOf(request.columns[0]), ...options].join(", ");
    return [
      "from bert_serving.clients.rest_client import RestClient",
      "",
      `with RestClient(${python(root.href.replace(/\/$/, ""))}) as client:`,
      `    for prediction in client.predict(${call}):`,
      "        print(prediction.label, prediction.probabilities)",
    ].join("\n");
  };
  const listOf = (texts) => `[${texts.map(python).join(", ")}]`;

  const showCalls = () => {
    let request = signature() ? currentRequest() : {};
    if (signature() && !request.body && formOf(signature()).kind === "texts") {
      const columns = formOf(signature()).names.map(() => ["text"]);
      request = { columns, body: textsBody(columns) };
    }
    $("curl").textContent = request.body ? `curl -d ${shell(request.body)} ${shell(requestUrl())}` : "";
    $("python").textContent = request.body ? pythonCall(request) : "";
  };

  // === A file ===

  const delimiterOf = (text) => {
    const line = text.slice(0, text.search(/[\r\n]|$/));
    const counts = ["\t", ";", ","].map((delimiter) => [line.split(delimiter).length, delimiter]);
    return counts.sort((a, b) => b[0] - a[0])[0][1];
  };
  // Quotes as in RFC 4180; in a file with tabs a line is a row, and only a cell with doubled quotes was quoted.
  const parseTable = (text, delimiter) => {
    const rows = [];
    let row = [];
    let cell = "";
    let quoted = false;
    let position = 0;
    const unquote = (text) => (/^"[^"]*(?:""[^"]*)+"$/.test(text) ? text.slice(1, -1).replaceAll('""', '"') : text);
    const endCell = () => { row.push(delimiter === "\t" ? unquote(cell) : cell); cell = ""; };
    const endRow = () => { endCell(); rows.push(row); row = []; };
    while (position < text.length) {
      const character = text[position];
      if (quoted) {
        if (character === '"' && text[position + 1] === '"') { cell += '"'; position += 1; }
        else if (character === '"') quoted = false;
        else cell += character;
      } else if (character === '"' && cell === "" && delimiter !== "\t") quoted = true;
      else if (character === delimiter) endCell();
      else if (character === "\n" || character === "\r") {
        if (character === "\r" && text[position + 1] === "\n") position += 1;
        endRow();
      } else cell += character;
      position += 1;
    }
    if (quoted) throw new Error(`The quote that opens in row ${rows.length + 1} is never closed.`);
    if (cell !== "" || row.length) endRow();
    return rows.filter((cells) => cells.length > 1 || cells[0] !== "");
  };
  const writeTable = (rows, delimiter) => {
    const quote = (text) => `"${text.replaceAll('"', '""')}"`;
    const cell = (value) => {
      const text = delimiter === "\t" ? String(value).replace(/\r\n|[\t\r\n\0]/g, " ") : String(value);
      if (delimiter === "\t") return text.startsWith('"') ? quote(text) : text;
      return /["\r\n]/.test(text) || text.includes(delimiter) ? quote(text) : text;
    };
    return rows.map((row) => `${row.map(cell).join(delimiter)}\n`).join("");
  };

  let table = null;
  let stopping = null;
  let link = "";

  const showFileStatus = (text) => { $("csv-status").textContent = text; };
  const guessColumn = (headings, names) => Math.max(headings.findIndex((heading) => names.includes(heading.trim().toLowerCase())), 0);

  const openFile = async () => {
    const [file] = $("upload").files;
    table = null;
    $("csv-fields").hidden = $("download").hidden = $("progress").hidden = true;
    showFileStatus("");
    if (!file) return;
    try {
      if (file.size > MAX_FILE_BYTES) throw new Error("The file is larger than 10 MB: use bert-serving predict with --input and --output.");
      let text;
      try {
        text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
      } catch {
        throw new Error("The file is not UTF-8 text: save it as CSV UTF-8.");
      }
      const delimiter = delimiterOf(text);
      const [headings, ...rows] = parseTable(text, delimiter);
      if (!headings || !rows.length) throw new Error("The file has no rows below its header.");
      const uneven = rows.findIndex((row) => row.length !== headings.length);
      if (uneven >= 0) throw new Error(`Row ${uneven + 2} has ${count(rows[uneven].length, "cell")}, but the header has ${headings.length}.`);
      table = { name: file.name, delimiter, headings, rows };
    } catch (error) {
      showFileStatus(error.message);
      return;
    }
    const options = table.headings.map((heading, position) => [String(position), heading || `column ${position + 1}`]);
    fill($("column"), options);
    fill($("pair-column"), options);
    $("column").value = String(guessColumn(table.headings, ["text", "sentence", "sentence1", "review", "message", "tweet", "question1", "premise"]));
    $("pair-column").value = String(guessColumn(table.headings, ["text_pair", "sentence2", "question2", "hypothesis"]));
    $("csv-fields").hidden = false;
    showFileStatus(`${count(table.rows.length, "row")}.`);
  };

  const sendWithRetries = async (body, signal, asked) => {
    for (let tries = 1; ; tries += 1) {
      try {
        return await send(body, signal, asked);
      } catch (error) {
        if (!error.retryable || tries === MAX_TRIES) throw error;
        await pause(Math.random() * 200 * 2 ** tries);
      }
    }
  };
  const unusedName = (name, taken) => {
    let unused = name;
    for (let number = 2; taken.includes(unused); number += 1) unused = `${name}_${number}`;
    taken.push(unused);
    return unused;
  };
  const cellsOf = ({ label, values, row }) => (values ? [label, ...values] : Object.keys(row).sort().map((name) => JSON.stringify(row[name])));
  const headingsOf = ({ names, values, row }) => {
    const taken = [...table.headings];
    const headings = values ? ["label", ...(values.length === 1 ? ["value"] : names)] : Object.keys(row).sort();
    return headings.map((name) => unusedName(name, taken));
  };

  const predictFile = async () => {
    if (!table || stopping || !version()) return;
    const columns = [Number($("column").value), ...($("pair-column-field").hidden ? [] : [Number($("pair-column").value)])];
    stopping = new AbortController();
    const asked = version();
    $("download").hidden = true;
    $("cancel").hidden = $("progress").hidden = false;
    $("progress").value = 0;
    const out = [];
    const started = performance.now();
    try {
      for (let start = 0; start < table.rows.length; start += ROWS_PER_REQUEST) {
        const rows = table.rows.slice(start, start + ROWS_PER_REQUEST);
        const response = await sendWithRetries(textsBody(columns.map((column) => rows.map((row) => row[column]))), stopping.signal, asked);
        const predictions = rowsOf(response).map((row) => readPrediction(row, asked));
        if (predictions.length !== rows.length) throw new Error("the model does not return one prediction per text.");
        if (!out.length) out.push([...table.headings, ...headingsOf(predictions[0])]);
        rows.forEach((row, position) => out.push([...row, ...cellsOf(predictions[position])]));
        $("progress").value = (start + rows.length) / table.rows.length;
      }
      const file = new Blob([table.delimiter === "," || table.delimiter === ";" ? "\ufeff" : "", writeTable(out, table.delimiter)], { type: "text/csv" });
      URL.revokeObjectURL(link);
      link = URL.createObjectURL(file);
      const name = table.name.replace(/(\.[^.]*)?$/, (ending) => `.predictions${ending || ".csv"}`);
      Object.assign($("download"), { href: link, download: name, textContent: `Download ${name}`, hidden: false });
      showFileStatus(`${count(table.rows.length, "row")} predicted in ${((performance.now() - started) / 1000).toFixed(1)} s.`);
    } catch (error) {
      showFileStatus(error.name === "AbortError" ? "Stopped." : `Failed at row ${out.length ? out.length + 1 : 2}: ${error.message}`);
    }
    $("cancel").hidden = $("progress").hidden = true;
    stopping = null;
  };

  // === Events ===

  const on = (id, event, listener) => $(id).addEventListener(event, listener);
  const submit = (id, action) => on(id, "submit", (event) => { event.preventDefault(); action(); });

  on("model", "change", () => { fillVersions(); fillSignatures(); selectionChanged(); });
  on("version", "change", () => { fillSignatures(); selectionChanged(); });
  on("signature", "change", selectionChanged);
  on("single-text", "change", selectionChanged);
  for (const id of ["text", "pair"]) on(id, "input", () => { showCalls(); predictSoon(); });
  on("body", "input", showCalls);
  for (const id of ["text", "pair", "body"]) on(id, "keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) predict(); });
  for (const id of ["texts", "json"]) submit(id, predict);
  submit("choice", predict);
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
  setInterval(() => document.hidden || refresh(), REFRESH_INTERVAL);
  addEventListener("focus", refresh);
})();
