// The report as one file, opened from disk without a network.
import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { pathToFileURL } from "node:url";
import { checkAccessible, checkFits, dark, launch, open, phone, text, withPage } from "./browser.mjs";
import { analyze, hostile, hostileName, residual, startServer, temporaryFolder } from "./qatgapd.mjs";

let folder, server, browser, analysis, named;
const offline = { offline: true };

before(async () => {
  folder = await temporaryFolder();
  server = await startServer(folder);
  analysis = await analyze(
    server,
    folder,
    "report",
    residual("residual_eager_qnnpack", "one file", "generic-int8", "pytorch-qnnpack"),
  );
  named = await analyze(server, folder, "named", [
    ...(await hostile(folder)),
    "--title",
    "</script><script>globalThis.broken=1</script>",
    "--target",
    "onnxruntime",
  ]);
  // The file stands alone: nothing may ask the server.
  await server.stop();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await folder?.remove();
});

const addressOf = ({ html }, hash = "") => pathToFileURL(html).href + hash;

it("has the views of the server's page", async () => {
  await withPage(browser, offline, async (page) => {
    await open(page, addressOf(analysis));
    assert.equal(await text(page, "#headline"), analysis.report.verdicts[0].headline);
    await page.locator("#layers-table tbody a").first().click();
    await page.getByRole("region", { name: "Causes of this layer's difference" }).waitFor();
    await page.locator("#channel-2").click();
    await page.getByRole("group", { name: "Channel 2", exact: true }).waitFor();
    await page.getByRole("link", { name: "pytorch-qnnpack" }).click();
    await page.waitForFunction(() => location.hash.includes("target=pytorch-qnnpack"));
    await page.getByRole("group", { name: "Channel 2", exact: true }).waitFor();
    await page.getByRole("link", { name: "one file" }).click();
    await page.getByRole("link", { name: "See them in the network" }).click();
    await page.locator(".graph a").first().waitFor();
    assert.equal(await page.locator(".graph a").count(), analysis.report.statistics.layers.length);
  });
});

it("opens at a link into it", async () => {
  await withPage(browser, offline, async (page) => {
    const id = analysis.report.analysis.id;
    await open(page, addressOf(analysis, `#/analyses/${id}/layers/3?target=generic-int8&input=0&channel=5`));
    await page.getByRole("group", { name: "Channel 5", exact: true }).waitFor();
  });
});

it("shows names from models as text", async () => {
  await withPage(browser, offline, async (page) => {
    await open(page, addressOf(named));
    assert.equal(await text(page, "h1"), "</script><script>globalThis.broken=1</script>");
    await page.getByRole("link", { name: hostileName }).first().waitFor();
    assert.equal(await page.locator("main img").count(), 0);
  });
});

it("says the essentials where no script runs", async () => {
  await withPage(browser, { ...offline, javaScriptEnabled: false }, async (page) => {
    await page.goto(addressOf(analysis));
    const words = await page.locator("main").innerText();
    for (const { headline } of analysis.report.verdicts) assert.ok(words.includes(headline));
    for (const { name } of analysis.report.statistics.layers) assert.ok(words.includes(name));
  });
});

for (const [name, options] of [
  ["light", {}],
  ["dark", dark],
  ["on a phone", phone],
]) {
  it(`has no serious fault of accessibility, ${name}, and fits`, async () => {
    await withPage(browser, { ...offline, ...options }, async (page) => {
      await open(page, addressOf(analysis));
      await page.locator("#layers-table").waitFor();
      await checkAccessible(page, name);
      await checkFits(page, name);
    });
  });
}
