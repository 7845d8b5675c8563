// Runs the table of cases against the guards for Node.js; prints what came out as JSON.
// node node_cases.mjs CASES lambda | plain | express
import { readFileSync } from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import { signetGuard } from "../../guards/node/express.mjs";
import { guarded } from "../../guards/node/lambda.mjs";

const cases = JSON.parse(readFileSync(process.argv[2], "utf8"));
const kind = process.argv[3];

function lambdaEvent(given, version) {
  const authorizer = version === "2.0" ? { lambda: given.granted } : given.granted;
  return {
    ...(version ? { version } : {}),
    body: given.body,
    isBase64Encoded: given.base64,
    headers: { "Signet-Edge": "x", signet_keyid: "stranger", accept: "*/*" },
    requestContext: { authorizer },
  };
}

async function lambda() {
  const found = {};
  for (const given of cases.function)
    for (const version of ["", "1.0", "2.0"]) {
      let seen = null;
      const handler = guarded(async (event) => {
        seen = Object.keys(event.headers);
        const several = Object.fromEntries(Object.entries(given.answer).map(([name, value]) => [name, [value]]));
        const fields = version === "1.0" ? { multiValueHeaders: several } : { headers: given.answer };
        return { statusCode: 200, body: "{}", ...fields };
      });
      const answer = await handler(lambdaEvent(given, version), null);
      const lines = [...Object.entries(answer.headers ?? {}), ...Object.entries(answer.multiValueHeaders ?? {})];
      const told = lines.flatMap(([name, values]) => [values].flat().map((value) => [name, value]));
      found[`${given.name} ${version}`] = [answer.statusCode, JSON.parse(answer.body).error ?? null, seen, told];
    }
  return found;
}

// An application may set fields one by one, or give them to writeHead as an object or as a list.
function begin(res, fields) {
  if (kind === "express") for (const [name, value] of Object.entries(fields)) res.setHeader(name, value);
  else if (Object.keys(fields).length % 2) res.writeHead(200, fields);
  else res.writeHead(200, "OK", Object.entries(fields).flat());
}

async function listener(guard, fields) {
  const app = (req, res) => {
    begin(res, fields);
    res.end(
      JSON.stringify({
        body: req.body.toString("base64"),
        keyid: req.signet.keyid,
        own: [...Object.keys(req.headers), ...req.rawHeaders].filter((name) => /^signet/i.test(name)),
      }),
    );
  };
  if (kind !== "express")
    return (req, res) => guard(req, res, (error) => (error ? res.writeHead(500).end() : app(req, res)));
  const express = createRequire(new URL("../../guards/node/", import.meta.url))("express");
  return express().use(guard).use(express.json()).use(app);
}

function call(port, given) {
  const body = Buffer.from(given.body, "base64");
  const length = given.chunked ? ["Transfer-Encoding", "chunked"] : ["Content-Length", String(body.length)];
  const headers = ["Host", "127.0.0.1", "Content-Type", "application/json", ...length, ...given.fields.flat()];
  const path = given.path + (given.query ? `?${given.query}` : "");
  return new Promise((resolve, reject) => {
    const request = http.request({ port, host: "127.0.0.1", method: given.method, path, headers, agent: false });
    request.on("error", reject);
    request.on("response", async (response) => {
      let text = "";
      for await (const part of response) text += part;
      const raw = response.rawHeaders;
      resolve([response.statusCode, JSON.parse(text), raw.flatMap((name, at) => (at % 2 ? [] : [[name, raw[at + 1]]]))]);
    });
    if (given.chunked) request.write(body.subarray(0, 5));
    request.end(given.chunked ? body.subarray(5) : body);
  });
}

async function network() {
  const found = {};
  for (const given of cases.network) {
    const { keys: assertionKeys, max_body: maxBody, now } = cases;
    const guard = signetGuard({ assertionKeys, api: "orders", maxBody, basePath: given.base_path, clock: () => now });
    const server = http.createServer(await listener(guard, given.answer));
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    found[given.name] = [];
    for (let turn = 0; turn < given.times; turn++)
      found[given.name].push(await call(server.address().port, given));
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  return found;
}

console.log(JSON.stringify(await (kind === "lambda" ? lambda() : network())));
