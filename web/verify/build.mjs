// Builds the page: one HTML file with styles, page script and worker inside, and a policy that names them
// by hash. The same sources and lock file give the same bytes.
//
//   node build.mjs [OUT]       default: dist/verify.html beside this file

import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const home = path.dirname(fileURLToPath(import.meta.url));
const source = (name) => path.join(home, "src", name);
const hashOf = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

async function bundle(entry, define = {}) {
  const result = await build({
    absWorkingDir: home,
    entryPoints: [source(entry)],
    bundle: true,
    minify: true,
    format: "iife",
    target: ["chrome137", "firefox129", "safari17.4"],
    charset: "utf8",
    legalComments: "inline", // licences of what is bundled travel with it
    define,
    write: false,
  });
  return result.outputFiles[0].text;
}

/** Replace each {{NAME}} of a template, all of which must be given. */
function fill(template, values) {
  return template.replace(/\{\{([A-Z_]+)\}\}/g, (_, name) => {
    if (!(name in values)) throw new Error(`index.html names ${name}, which the build does not know`);
    return values[name];
  });
}

// Which checkers packs were given: nothing signs them, so the page knows those of earlier releases and today's.
const shipped = path.join(home, "..", "..", "layers", "signet", "signet", "pack", "resources");
const released = JSON.parse(await readFile(path.join(home, "released.json"), "utf8"));
const today = {};
for (const name of ["VERIFY.md", "verify.py"]) {
  const data = await readFile(path.join(shipped, name));
  today[name] = createHash("sha256").update(data).digest("hex");
}
released.push(today);

const worker = await bundle("worker.ts", { RELEASED: JSON.stringify(released) });
const script = await bundle("page/main.ts", { WORKER_SOURCE: JSON.stringify(worker) });
const style = await readFile(source("style.css"), "utf8");
const policy = [
  "default-src 'none'",
  `script-src ${hashOf(script)}`,
  `style-src ${hashOf(style)}`,
  "worker-src blob:",
  "connect-src 'none'",
  "base-uri 'none'",
  "form-action 'none'",
].join("; ");
const page = fill(await readFile(source("index.html"), "utf8"), {
  POLICY: policy,
  STYLE: style,
  SCRIPT: script,
});

const out = path.resolve(process.argv[2] ?? path.join(home, "dist", "verify.html"));
await mkdir(path.dirname(out), { recursive: true });
await writeFile(out, page);
console.log(`${createHash("sha256").update(page).digest("hex")}  ${out}`);
