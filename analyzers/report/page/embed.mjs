// Builds the page's bundle and writes it as a C++ source:  node embed.mjs OUTPUT.cc DEPFILE
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const [output, depfile] = process.argv.slice(2);

const fail = (message) => {
  console.error(`analyzers/report/page: ${message}`);
  process.exit(1);
};

if (!existsSync(join(here, "node_modules", "esbuild"))) {
  fail("node_modules is missing or has no esbuild: run deploy/setup.sh, or npm ci in analyzers/report/page");
}
const { build } = await import("esbuild");

// What a style sheet or script must not hold, as it also stands inline in the static report, where it would end there.
const inlineEnds = /<\/(script|style)|<!--/i;
// Tags that the static report replaces.
const tags = ['<link rel="stylesheet" href="app.css">', '<script src="app.js"></script>', '<main id="main"', "</main>", "<title>", "</title>", "</head>"];

const result = await build({
  absWorkingDir: here,
  entryPoints: { app: "src/app.ts", appcss: "app.css" },
  bundle: true,
  minify: true,
  charset: "utf8",
  legalComments: "none",
  target: ["es2022", "chrome110", "firefox115", "safari16.4"],
  outdir: "unused",
  metafile: true,
  write: false,
  logLevel: "warning",
}).catch(() => process.exit(1));

const built = (name) => result.outputFiles.find((file) => file.path.endsWith(`/${name}`))?.contents ?? fail(`esbuild made no ${name}`);
const assets = [
  ["index.html", "text/html; charset=utf-8", readFileSync(join(here, "index.html"))],
  ["app.css", "text/css; charset=utf-8", Buffer.from(built("appcss.css"))],
  ["app.js", "text/javascript; charset=utf-8", Buffer.from(built("app.js"))],
  ["noscript.css", "text/css; charset=utf-8", readFileSync(join(here, "noscript.css"))],
];
const page = assets[0][2].toString("utf8");
for (const tag of tags) {
  if (page.split(tag).length !== 2) fail(`index.html must hold ${tag} once`);
}
for (const [path, , bytes] of assets.slice(1)) {
  if (inlineEnds.test(bytes.toString("utf8"))) fail(`${path} holds </script, </style or <!--, so it cannot stand inline`);
}

// Octal escapes end after three digits, whatever comes next; a question mark could start a trigraph.
const literal = (bytes) => {
  const lines = [];
  for (let start = 0; start < bytes.length; start += 96) {
    let line = "";
    for (const byte of bytes.subarray(start, start + 96)) {
      const plain = byte >= 32 && byte < 127 && !'"\\?'.includes(String.fromCharCode(byte));
      line += plain ? String.fromCharCode(byte) : `\\${byte.toString(8).padStart(3, "0")}`;
    }
    lines.push(`    "${line}"`);
  }
  return lines.join("\n") || '    ""';
};

const entries = assets.map(([path, type, bytes]) => {
  const sha256 = createHash("sha256").update(bytes).digest("base64");
  return `  {"${path}", "${type}",\n   std::string_view(\n${literal(bytes)},\n    ${bytes.length}),\n   "${sha256}"},`;
});
writeFileSync(output, `// Made by embed.mjs.
#include "analyzers/report/page/page_assets.h"

#include <algorithm>
#include <array>

namespace qatgap::report {
namespace {

constexpr std::array<PageAsset, ${assets.length}> kAssets = {{
${entries.join("\n")}
}};

}  // namespace

std::span<const PageAsset> PageAssets() { return kAssets; }

const PageAsset& PageAssetOf(std::string_view path) {
  return *std::find_if(kAssets.begin(), kAssets.end() - 1, [&](const PageAsset& asset) { return asset.path == path; });
}

}  // namespace qatgap::report
`);
const inputs = Object.keys(result.metafile.inputs).map((input) => join(here, input));
writeFileSync(depfile, `${output}: ${inputs.join(" ")}\n`);
