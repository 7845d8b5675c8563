// Lets the guards for Node.js report the outcomes of CASES to URL, and prints what was answered.
// node node_outcomes.mjs CASES URL lambda | plain
import { readFileSync } from "node:fs";
import http from "node:http";
import { signetGuard } from "../../guards/node/express.mjs";
import { guarded } from "../../guards/node/lambda.mjs";

const [, , file, outcomesUrl, kind] = process.argv;
const { keys: assertionKeys, now, cases } = JSON.parse(readFileSync(file, "utf8"));
const found = {};

async function lambda({ act, ticket }) {
  const handler = guarded(
    async () => {
      if (act === "raise") throw new Error("a bug");
      return { statusCode: Number(act) };
    },
    { outcomesUrl },
  );
  const authorizer = { keyid: "caller-1", receipt_id: "0199", breaker: ticket };
  const answer = await handler({ body: null, requestContext: { authorizer } }, null).catch(() => null);
  return answer?.statusCode ?? null;
}

async function plain({ act, assertion }) {
  const guard = signetGuard({ assertionKeys, api: "orders", clock: () => now, outcomesUrl });
  const server = http.createServer((req, res) =>
    guard(req, res, (error) => res.writeHead(error ? 599 : Number(act)).end()),
  );
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const headers = { "Signet-Assertion": assertion };
  const asked = { port: server.address().port, host: "127.0.0.1", path: "/orders/1", headers, agent: false };
  const status = await new Promise((resolve, reject) =>
    http
      .get(asked, (response) => {
        response.resume();
        response.on("end", () => resolve(response.statusCode));
      })
      .on("error", reject),
  );
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await guard.outcomes.close();
  found.counts = [(found.counts?.[0] ?? 0) + guard.outcomes.sent, (found.counts?.[1] ?? 0) + guard.outcomes.dropped];
  return status;
}

// Without close(), what waits is sent when nothing else is left to do.
for (const given of cases) found[given.name] = await (kind === "lambda" ? lambda : plain)(given);
console.log(JSON.stringify(found));
