// Serves the built page and the answers for report files, for work on the page without qatgapd:
//   node tests/page/mock_server.mjs PORT report.json...
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { answersOfReport } from "./answers.mjs";

const page = new URL("../../analyzers/report/page/", import.meta.url);
const types = {
  html: "text/html; charset=utf-8",
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
};
const [port, ...files] = process.argv.slice(2);

let answers = new Map();
const analyses = [];
for (const [i, file] of files.entries()) {
  const report = JSON.parse(await readFile(file, "utf8"));
  const id = `${i}`.padStart(32, "0");
  const own = answersOfReport(report, id);
  answers = new Map([...answers, ...own]);
  const { report: _, ...summary } = own.get(`analyses/${id}`);
  analyses.push(summary);
}
analyses.unshift({
  ...analyses[0],
  id: "f".repeat(32),
  title: "running",
  state: "running",
  verdicts: [],
  progress: { samples_done: 128, samples_total: 512 },
});
answers.set("analyses", { analyses, next_page_token: "" });
answers.set("tracks", { tracks: [] });

createServer(async (request, response) => {
  const url = new URL(request.url, "http://localhost");
  const send = (status, type, body) => {
    response.writeHead(status, {
      "content-type": type,
      "content-security-policy":
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'",
    });
    response.end(body);
  };
  const path = url.pathname.slice(1) || "index.html";
  if (path.startsWith("api/v1/")) {
    const kept = ["target", "input"]
      .filter((name) => url.searchParams.has(name))
      .map((name) => `${name}=${encodeURIComponent(url.searchParams.get(name))}`);
    const key = path.slice(7) + (kept.length ? `?${kept.join("&")}` : "");
    if (answers.has(key)) return send(200, "application/json", JSON.stringify(answers.get(key)));
    return send(
      404,
      "application/json",
      JSON.stringify({ error: { code: "NOT_FOUND", message: `no answer for ${key}` } }),
    );
  }
  try {
    const body = await readFile(new URL(path === "index.html" ? path : `dist/${path}`, page));
    return send(200, types[path.split(".").pop()] ?? "application/octet-stream", body);
  } catch {
    return send(404, "text/plain", "not found");
  }
}).listen(Number(port), "127.0.0.1", () => console.log(`http://127.0.0.1:${port}/`));
