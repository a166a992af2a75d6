// The real binaries: a server of its own on free ports, and the command line against it.
import { execFile, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, watch } from "node:fs/promises";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);

export const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const binaries = process.env.QATGAP_BIN_DIR ?? join(root, "build", "release", "bin");
const python = process.env.QATGAP_PYTHON ?? join(root, ".venv", "bin", "python");
export const models = join(root, "tests", "models");

export async function temporaryFolder() {
  const path = await mkdtemp(join(tmpdir(), "qatgap-page-"));
  return { path, file: (name) => join(path, name), remove: () => rm(path, { recursive: true, force: true }) };
}

export async function startServer(folder) {
  const status = folder.file("status.json");
  const server = spawn(
    join(binaries, "qatgapd"),
    [
      "--listen",
      "127.0.0.1:0",
      "--http-listen",
      "127.0.0.1:0",
      "--no-metrics",
      "--data-dir",
      folder.file("data"),
      "--status-file",
      status,
      "--log-level",
      "warning",
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  let log = "";
  server.stderr.on("data", (text) => {
    log += text;
  });
  const ended = new Promise((done) => server.once("exit", done));
  const changes = watch(folder.path, { signal: AbortSignal.timeout(30_000) });
  const serving = (async () => {
    if (existsSync(status)) return;
    for await (const _ of changes) if (existsSync(status)) return;
  })();
  const dead = await Promise.race([serving.then(() => false), ended.then(() => true)]);
  if (dead) throw new Error(`qatgapd ended before it served:\n${log}`);
  const { address, http } = JSON.parse(await readFile(status, "utf8"));
  return {
    address,
    page: `http://${http}/`,
    stop: async () => {
      server.kill("SIGTERM");
      await ended;
    },
  };
}

// `qatgap analyze`; returns report.json.
export async function analyze(server, folder, name, options) {
  const json = folder.file(`${name}.json`);
  const html = folder.file(`${name}.html`);
  await run(
    join(binaries, "qatgap"),
    ["analyze", "--server", server.address, ...options, "--json", json, "--html", html],
    { maxBuffer: 64 << 20 },
  );
  return { report: JSON.parse(await readFile(json, "utf8")), html };
}

// Without waiting for the end.
export async function submit(server, options) {
  await run(join(binaries, "qatgap"), ["analyze", "--server", server.address, "--detach", ...options]);
}

export const residual = (flavour, title, ...targets) => [
  "--title",
  title,
  "--qat",
  join(models, flavour, "qat.pt"),
  "--converted",
  join(models, flavour, "converted.pt"),
  "--samples",
  join(models, "samples", "images_512.npz"),
  "--labels",
  join(models, "samples", "labels_512.npy"),
  ...targets.flatMap((target) => ["--target", target]),
];

const makeModels = (...options) => run(python, [join(root, "tests", "page", "make_models.py"), ...options.map(String)]);

export async function chain(folder, layers, widest) {
  const [model, samples] = [folder.file(`chain${layers}.onnx`), folder.file(`chain${layers}.npy`)];
  await makeModels("chain", model, samples, layers, widest);
  return ["--converted", model, "--samples", samples];
}

export const hostileName = "<img src=x onerror=globalThis.broken=1>";

export async function hostile(folder) {
  const cases = join(root, "tests", "analyzers", "frontends", "onnx", "cases");
  const model = folder.file("hostile.onnx");
  await makeModels("hostile", join(cases, "ort_operators_u8s8_per_channel.onnx"), model);
  return ["--converted", model, "--samples", join(cases, "input.npy")];
}
