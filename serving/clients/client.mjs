// Asks a model server over REST; Node 18 or later, or a page of a browser (then the server needs --rest_api_enable_cors_support).
//   node serving/clients/client.mjs bike_shop "where is my parcel?"
// REST_ADDRESS is http://localhost:8501 by default; LABEL is a version label, such as stable.

/** Label and probabilities of each text. */
export async function predict(address, model, texts, { label = "", milliseconds = 10_000 } = {}) {
  const version = label ? `/labels/${encodeURIComponent(label)}` : "";
  const reply = await fetch(`${address}/v1/models/${encodeURIComponent(model)}${version}:predict`, {
    method: "POST",
    body: JSON.stringify({ instances: texts.map((text) => ({ text })) }),
    signal: AbortSignal.timeout(milliseconds),
  });
  const answer = await reply.json();
  if (!reply.ok) throw new Error(`HTTP status ${reply.status}: ${answer.error}`);
  return answer.predictions;
}

if (typeof process !== "undefined" && process.argv[1] && import.meta.url === new URL(`file://${process.argv[1]}`).href) {
  const [model, ...texts] = process.argv.slice(2);
  if (!model || !texts.length) {
    console.error("usage: client.mjs MODEL TEXT...");
    process.exit(2);
  }
  try {
    const address = process.env.REST_ADDRESS ?? "http://localhost:8501";
    for (const { label } of await predict(address, model, texts, { label: process.env.LABEL })) console.log(label);
  } catch (error) {
    console.error(error.message);
    process.exit(1);
  }
}
