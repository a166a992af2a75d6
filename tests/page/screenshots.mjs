// Writes the pictures of docs/images from a real server with real analyses:  npm run screenshots
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { dark, launch, open, phone, withPage } from "./browser.mjs";
import { analyze, residual, root, startServer, submit, temporaryFolder } from "./qatgapd.mjs";

const run = promisify(execFile);
const python = process.env.QATGAP_PYTHON ?? join(root, ".venv", "bin", "python");
// Flat colours need no more than a palette, which makes the files a third as large; maximum coverage keeps rare ones.
const palette = [
  "import sys",
  "from PIL import Image",
  "picture = Image.open(sys.argv[1]).convert('RGB')",
  "picture = picture.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)",
  "picture.save(sys.argv[1], optimize=True)",
].join("\n");

const folder = await temporaryFolder();
const server = await startServer(folder);
const browser = await launch();

async function shoot(name, hash, options, prepare = async () => {}) {
  const file = join(root, "docs", "images", `web-${name}.png`);
  await withPage(browser, { viewport: { width: 1200, height: 860 }, ...options }, async (page) => {
    await open(page, server.page + hash);
    await page.waitForFunction(() => !document.querySelector(".waiting, .loading"));
    await page.evaluate(() => document.fonts.ready);
    await prepare(page);
    // Two frames: charts are drawn in the first.
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
    await page.screenshot({ path: file });
  });
  await run(python, ["-c", palette, file]);
}

const top = (selector) => (page) =>
  page
    .locator(selector)
    .first()
    .evaluate((element) => element.scrollIntoView({ block: "start" }));

try {
  const before = await analyze(
    server,
    folder,
    "before",
    residual("residual_eager_x86", "residual net, x86 qconfig", "pytorch-fbgemm", "pytorch-qnnpack"),
  );
  const after = await analyze(
    server,
    folder,
    "after",
    residual(
      "residual_eager_qnnpack",
      "residual net, qnnpack qconfig",
      "generic-int8",
      "generic-int16",
      "pytorch-qnnpack",
    ),
  );
  await submit(server, residual("residual_fx_x86", "residual net, FX", "pytorch-x86"));
  const [first, id] = [before, after].map((analysis) => analysis.report.analysis.id);
  const target = "target=generic-int8";
  await shoot("analyses", "#/", {});
  await shoot("analysis", `#/analyses/${id}?${target}`, {});
  await shoot("layers", `#/analyses/${id}?${target}`, {}, top("#layers"));
  await shoot("analysis-dark", `#/analyses/${id}?${target}`, dark);
  await shoot(
    "layer",
    `#/analyses/${id}/layers/3?${target}&input=0&channel=5`,
    {},
    top("h2:text('Stages and causes')"),
  );
  await shoot("channels-dark", `#/analyses/${id}/layers/3?${target}&input=0&channel=5`, dark, top("#channels"));
  await shoot("network", `#/analyses/${id}/graph?${target}`, {});
  await shoot("compare", `#/compare?before=${first}&after=${id}&target=pytorch-qnnpack`, {});
  await shoot("phone", `#/analyses/${id}?${target}`, { ...phone, deviceScaleFactor: 2 });
} finally {
  await browser.close();
  await server.stop();
  await folder.remove();
}
