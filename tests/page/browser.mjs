// Debian's Chromium, watched: a page may make no request elsewhere, break no rule of its policy and throw nothing.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const axeSource = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export async function launch() {
  // Chromium's own sandbox does not run as root.
  const sandbox = process.getuid() === 0 ? ["--no-sandbox"] : [];
  return chromium.launch({
    executablePath: process.env.QATGAP_CHROMIUM ?? "/usr/bin/chromium",
    args: [...sandbox, "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
  });
}

export const phone = { viewport: { width: 360, height: 780 } };
export const dark = { colorScheme: "dark" };

// Calls `work` with a page. `allowed` is of messages on the console that the test brings about.
export async function withPage(browser, options, work, allowed = null) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const faults = [];
  const origins = new Set();
  page.on("pageerror", (error) => faults.push(`thrown: ${error.message}`));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type()) && !allowed?.test(message.text()))
      faults.push(`${message.type()}: ${message.text()}`);
  });
  page.on("dialog", (dialog) => {
    faults.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("request", (request) => origins.add(new URL(request.url()).origin));
  try {
    const result = await work(page);
    assert.deepEqual(faults, []);
    assert.equal(await page.evaluate("globalThis.broken"), undefined);
    assert.ok(
      [...origins].every((origin) => origin === "null" || /^http:\/\/127\.0\.0\.1:/.test(origin)),
      `requests elsewhere: ${[...origins]}`,
    );
    return result;
  } finally {
    await context.close();
  }
}

export async function open(page, address) {
  await page.goto(address);
  await page.locator("#title").waitFor();
}

// Another route of the page that is open.
export async function goTo(page, hash) {
  await page.evaluate((to) => {
    location.hash = to;
  }, hash);
}

// With plain spaces: between a figure and its unit the page has one that does not break.
export const text = async (page, selector) =>
  (await page.locator(selector).first().innerText()).replaceAll("\u00a0", " ");

export async function checkAccessible(page, where) {
  await page.evaluate(axeSource);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const told = violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(
      ({ id, nodes }) =>
        `${id}: ${nodes
          .slice(0, 3)
          .map((node) => `${node.html.slice(0, 160)} (${node.any[0]?.message ?? ""})`)
          .join("; ")}`,
    );
  assert.deepEqual(told, [], where);
}

export async function checkFits(page, where) {
  const beyond = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.equal(beyond, 0, `${where} is ${beyond} px wider than the window`);
}
