// Sections of an analysis below its layers: outputs, accuracy, findings, what was not measured, provenance.
import type { Analysis, Finding, InputFile, PathView, Report, TargetView, Unmeasured } from "../contract.ts";
import { append, el, section, type Child } from "../dom.ts";
import { definitions, severityTag } from "../page.ts";
import { links } from "../router.ts";
import { dataTable } from "../table.ts";
import {
  bytes,
  count,
  counted,
  decibel,
  displayName,
  duration,
  lsb,
  pathWords,
  percent,
  real,
  signed,
  time,
} from "../words.ts";

export function outputsSection(report: Report, target: TargetView): HTMLElement {
  const several = report.outputs.length > 1;
  const rows = target.paths.flatMap((path) => path.outputs.map((statistics, output) => ({ path, statistics, output })));
  return section(
    "Outputs of the model",
    {},
    el("p", { class: "lead" }, "Whole networks held against each other, each on its own intermediate values."),
    rows.length === 0
      ? el("p", null, "Not measured.")
      : dataTable({
          caption: "Outputs, path against path",
          rows,
          columns: [
            {
              id: "path",
              label: "Path, against",
              width: 11,
              cell: ({ path, output }) => [
                el("b", null, pathWords(path.path)),
                el(
                  "span",
                  { class: "under" },
                  `against ${pathWords(path.reference)}${several ? `, output ${output + 1}` : ""}`,
                ),
              ],
            },
            {
              id: "changed",
              label: "Changed",
              numeric: true,
              width: 5.5,
              key: (row) => row.statistics.changed_rate,
              cell: (row) => percent(row.statistics.changed_rate),
            },
            {
              id: "max",
              label: "Largest",
              numeric: true,
              width: 5,
              key: (row) => row.statistics.max_absolute,
              cell: (row) => lsb(row.statistics.max_absolute),
            },
            {
              id: "sqnr",
              label: "SQNR",
              numeric: true,
              width: 5.5,
              key: (row) => row.statistics.sqnr_db,
              cell: (row) => decibel(row.statistics.sqnr_db, row.statistics.bit_exact),
            },
            {
              id: "answers",
              label: "Answers",
              numeric: true,
              width: 5,
              key: (row) => row.path.top1_changed,
              describe: "Samples whose largest output moved",
              cell: (row) => count(row.path.top1_changed),
            },
          ],
        }).element,
  );
}

function differenceWords(difference: PathView["accuracy_difference"] | undefined): string {
  if (!difference) return "";
  const points = (fraction: number) => signed(fraction, (value) => real(100 * value, 2));
  return `${points(difference.low)} to ${points(difference.high)} points, p = ${real(difference.p_value, 2)}`;
}

export function accuracySection(report: Report, target: TargetView): HTMLElement {
  const reference = target.accuracies.find((accuracy) => accuracy.path === "fake_quant");
  const differenceOf = (path: string, against: string) =>
    target.paths.find((one) => one.path === path && one.reference === against)?.accuracy_difference;
  const bias = differenceOf("quantized_bias", "float_bias");
  return section(
    "Accuracy",
    {},
    target.accuracies.length === 0
      ? el(
          "p",
          { class: "soft" },
          "No labels were given. With ",
          el("code", null, "--labels labels.npy"),
          " the report has the accuracy of each path.",
        )
      : [
          el("p", { class: "lead" }, `Over ${counted(report.labelled, "labelled sample")}.`),
          dataTable({
            caption: "Accuracy of each path",
            rows: target.accuracies,
            columns: [
              { id: "path", label: "Path", width: 9, cell: (row) => el("b", null, pathWords(row.path)) },
              { id: "correct", label: "Correct", numeric: true, width: 5.5, cell: (row) => count(row.correct) },
              { id: "rate", label: "Accuracy", numeric: true, width: 6, cell: (row) => percent(row.rate) },
              {
                id: "gap",
                label: "Against fake-quant",
                numeric: true,
                width: 11,
                describe: "Samples, the 95 % interval of the paired difference of accuracies, and McNemar's exact test",
                cell: (row) => [
                  gap(row.correct, reference?.correct),
                  el("span", { class: "under" }, differenceWords(differenceOf(row.path, "fake_quant"))),
                ],
              },
            ],
          }).element,
          bias
            ? el(
                "p",
                { class: "small" },
                `Quantized bias against float bias: ${signed(bias.value, (value) => real(100 * value, 2))} points (95 % interval ${differenceWords(bias)}).`,
              )
            : null,
        ],
  );
}

function gap(correct: number, reference: number | undefined): string {
  if (reference === undefined) return "–";
  const difference = correct - reference;
  return difference === 0 ? "equal" : `${difference > 0 ? "+" : "−"}${counted(Math.abs(difference), "sample")}`;
}

const CHANNELS_TOLD = 12;

function channelWords(channels: number[]): string {
  const told = channels.slice(0, CHANNELS_TOLD).join(", ");
  const rest = channels.length - CHANNELS_TOLD;
  return `${channels.length === 1 ? "channel" : "channels"} ${told}${rest > 0 ? ` and ${count(rest)} more` : ""}`;
}

export function findingEntry(finding: Finding, where: Child): HTMLElement {
  return el(
    "div",
    { class: "finding" },
    el(
      "h3",
      null,
      severityTag(finding.severity),
      el("span", { class: "soft" }, displayName(finding.id)),
      displayName(finding.title),
    ),
    el(
      "p",
      { class: "small soft" },
      where,
      finding.target ? [where ? " · " : null, `target ${displayName(finding.target)}`] : null,
      finding.channels.length ? ` · ${channelWords(finding.channels)}` : null,
    ),
    finding.detail ? el("p", null, displayName(finding.detail)) : null,
    finding.advice ? el("p", null, el("b", null, "Advice: "), displayName(finding.advice)) : null,
  );
}

// Made when it is opened: there may be one for each of 1,000 layers.
function places(group: Finding[], where: (finding: Finding) => Child): HTMLElement {
  const first = group
    .slice(0, 4)
    .map((one) => displayName(one.layer) || "the model")
    .join(", ");
  const details = el("details", null, el("summary", null, `Where: ${first}${group.length > 4 ? " …" : ""}`));
  details.addEventListener("toggle", () => {
    if (!details.open || details.children.length > 1) return;
    append(
      details,
      group.map((one) => el("p", { class: "small" }, where(one), one.detail ? `: ${displayName(one.detail)}` : null)),
    );
  });
  return details;
}

// Findings of one kind together: a finding of each of 60 layers is one entry with 60 layers.
export function findingsSection(id: string, target: string, findings: Finding[]): HTMLElement {
  const kinds = new Map<string, Finding[]>();
  for (const finding of findings) {
    const kind = `${finding.severity} ${finding.id}`;
    kinds.set(kind, [...(kinds.get(kind) ?? []), finding]);
  }
  const where = (finding: Finding): Child => {
    if (!finding.layer) return "the model";
    const name = displayName(finding.layer);
    return finding.layer_index === null
      ? `layer ${name}`
      : ["layer ", el("a", { href: links.layer(id, finding.layer_index, target, 0) }, name)];
  };
  return section(
    "Findings",
    { id: "findings" },
    el("p", { class: "lead" }, "Found in the models themselves, without running data."),
    findings.length === 0
      ? el("p", null, "None.")
      : [...kinds.values()].map((group) => {
          const [first, ...rest] = group;
          if (!first) return null;
          if (rest.length === 0) return findingEntry(first, where(first));
          return el(
            "div",
            { class: "finding" },
            el(
              "h3",
              null,
              severityTag(first.severity),
              el("span", { class: "soft" }, displayName(first.id)),
              displayName(first.title),
              el("span", { class: "soft small" }, `${count(group.length)} times`),
            ),
            first.advice ? el("p", null, el("b", null, "Advice: "), displayName(first.advice)) : null,
            places(group, where),
          );
        }),
  );
}

export function unmeasuredSection(entries: Unmeasured[]): HTMLElement {
  return section(
    "Not measured",
    { id: "unmeasured" },
    entries.length === 0
      ? el("p", null, "Nothing was left out.")
      : dataTable<Unmeasured>({
          caption: "What this report says nothing about, and why",
          rows: entries,
          columns: [
            { id: "name", label: "Name", width: 10, key: (row) => row.name, cell: (row) => displayName(row.name) },
            { id: "what", label: "What", width: 9, key: (row) => row.what, cell: (row) => displayName(row.what) },
            { id: "mac", label: "MAC layer", width: 6, cell: (row) => (row.is_mac_layer ? "yes" : "no") },
            { id: "reason", label: "Reason", width: 24, cell: (row) => displayName(row.reason) },
          ],
        }).element,
  );
}

function file(input: InputFile | null | undefined): Child {
  if (!input) return "not given";
  return [displayName(input.name), `, ${bytes(input.bytes)}`, el("br"), el("code", null, `sha256 ${input.sha256}`)];
}

export function provenanceSection(analysis: Analysis, report: Report): HTMLElement {
  const { inputs, environment } = report;
  const rows: [string, Child][] = [
    ["QAT model", file(inputs.qat_model)],
    ["Its format", displayName(report.qat_format)],
    ["Converted model", file(inputs.converted_model)],
  ];
  if (report.converted_format) rows.push(["Its format", displayName(report.converted_format)]);
  if (inputs.sample_inputs?.length) {
    for (const input of inputs.sample_inputs)
      rows.push([`Samples ${displayName(input.input_name ?? "")}`, file(input)]);
  } else {
    rows.push(["Samples", file(inputs.samples)]);
  }
  for (const text of inputs.normalizations ?? []) rows.push(["Normalisation", displayName(text)]);
  rows.push(["Labels", file(inputs.labels)]);
  if (inputs.held_out) rows.push(["Held-out samples", file(inputs.held_out)]);
  if (inputs.held_out_labels) rows.push(["Labels of these", file(inputs.held_out_labels)]);
  for (const note of report.notes) rows.push(["Note", displayName(note)]);
  rows.push(
    ["Samples analysed", count(report.samples)],
    ["Created", time(analysis.create_time)],
    ["Run time", duration(analysis.start_time, analysis.end_time)],
    ["qatgap", displayName(environment.tool_version ?? "–")],
    ["LibTorch", displayName(environment.libtorch_version ?? "–")],
    ["Engines", (environment.engines ?? []).map(displayName).join(", ") || "none"],
    ["CPU features", (environment.cpu_features ?? []).map(displayName).join(", ") || "–"],
    ["Batch size, threads", `${real(environment.batch_size)}, ${real(environment.threads)}`],
    ["Analysis", el("code", null, analysis.id)],
  );
  return section("Where it comes from", { id: "provenance" }, definitions(rows));
}
