// The answers of api/v1 for a report.json: what the page shows without a server. Keys are those of a static report.
const CAUSES = [
  "float_arithmetic",
  "conversion",
  "bias_rounding",
  "bias_saturation",
  "accumulator",
  "requantization",
  "engine_residual",
  "total",
];

const pick = (object, names) => Object.fromEntries(names.map((name) => [name, object[name]]));

export function answersOfReport(report, id) {
  const { statistics } = report;
  const indexOf = new Map(statistics.layers.map((layer, index) => [layer.name, index]));
  const findings = statistics.findings.map((finding) => ({
    ...finding,
    layer_index: indexOf.get(finding.layer) ?? null,
  }));
  const summary = {
    id,
    title: report.analysis.title,
    track: "",
    state: "succeeded",
    create_time: report.analysis.create_time,
    start_time: null,
    end_time: null,
    progress: { samples_done: statistics.samples, samples_total: statistics.samples },
    error: "",
    qat_model: report.inputs.qat_model?.name ?? "",
    converted_model: report.inputs.converted_model?.name ?? "",
    targets: statistics.targets.map((target) => target.name),
    verdicts: report.verdicts.map(({ target, headline }) => ({ target, headline })),
    gate: null,
  };
  const targets = statistics.targets.map((target) => {
    const totals = Object.fromEntries(
      CAUSES.map((cause) => {
        const all = target.layers.map((layer) => layer.causes[cause]).filter(Boolean);
        const sum = (name) => all.reduce((total, one) => total + one[name], 0);
        return [
          cause,
          {
            count: sum("count"),
            changed: sum("changed"),
            max_absolute: Math.max(0, ...all.map((one) => one.max_absolute)),
            changed_rate: sum("count") ? sum("changed") / sum("count") : null,
          },
        ];
      }),
    );
    const verdict = report.verdicts.find((one) => one.target === target.name);
    return {
      ...pick(target, ["name", "title", "bias_mode", "engine", "evidence", "coverage", "shares", "accuracies"]),
      headline: verdict.headline,
      sentences: verdict.sentences,
      totals,
      paths: target.comparisons.map((one) => pick(one, ["path", "reference", "top1_changed", "outputs"])),
    };
  });
  const answers = new Map();
  answers.set(`analyses/${id}`, {
    ...summary,
    report: {
      environment: report.environment,
      inputs: report.inputs,
      ...pick(statistics, [
        "notes",
        "samples",
        "labelled",
        "mac_layers",
        "qat_format",
        "converted_format",
        "converted_given",
        "outputs",
        "unmeasured",
      ]),
      layer_count: statistics.layers.length,
      targets,
      findings,
    },
  });
  for (const target of statistics.targets) {
    const query = `target=${encodeURIComponent(target.name)}`;
    const accumulatedOf = (index) =>
      Object.fromEntries(
        target.comparisons
          .filter((one) => one.layers[index])
          .map((one) => [`${one.reference}>${one.path}`, one.layers[index]]),
      );
    const findingsOf = (name) =>
      findings.filter((finding) => finding.layer === name && (!finding.target || finding.target === target.name));
    answers.set(`analyses/${id}/layers?${query}`, {
      next_page_token: "",
      layers: target.layers.map((layer) => {
        const facts = statistics.layers[layer.layer_index];
        const count = (severity) => findingsOf(facts.name).filter((finding) => finding.severity === severity).length;
        return {
          ...pick(layer, ["layer_index", "input_index", "samples", "engine_measured", "engine_note"]),
          ...pick(facts, ["name", "kind", "channels", "source_line", "module_stack"]),
          findings: { error: count("error"), warning: count("warning"), info: count("info") },
          causes: Object.fromEntries(
            CAUSES.map((cause) => [
              cause,
              layer.causes[cause] && {
                ...pick(layer.causes[cause], ["count", "changed", "changed_rate", "max_absolute", "sqnr_db"]),
                share: layer.shares?.[cause] ?? null,
              },
            ]),
          ),
          accumulated: Object.fromEntries(
            Object.entries(accumulatedOf(layer.layer_index)).map(([key, one]) => [
              key,
              pick(one, ["changed_rate", "max_absolute", "sqnr_db"]),
            ]),
          ),
          propagated_changed_rate: null,
        };
      }),
    });
    for (const layer of target.layers) {
      const facts = statistics.layers[layer.layer_index];
      const path = `analyses/${id}/layers/${layer.layer_index}`;
      const of = `${query}&input=${layer.input_index}`;
      answers.set(`${path}?${of}`, {
        layer: facts,
        ...pick(layer, [
          "layer_index",
          "input_index",
          "input",
          "samples",
          "engine_measured",
          "engine_note",
          "causes",
          "shares",
        ]),
        accumulated: accumulatedOf(layer.layer_index),
        findings: findingsOf(facts.name),
        channel_count: facts.channels,
        targets: statistics.targets.map((one) => one.name),
        inputs: Math.max(1, facts.inputs.length),
      });
      answers.set(`${path}/channels?${of}`, {
        ...layer.channels,
        causes: Object.fromEntries(
          CAUSES.map((cause) => [
            cause,
            layer.channels.causes[cause] && pick(layer.channels.causes[cause], ["changed", "max_absolute", "sum"]),
          ]),
        ),
      });
    }
  }
  answers.set(`analyses/${id}/graph`, { nodes: chainOf(statistics.layers) });
  return answers;
}

// A report.json has no network; a chain of its layers with a skip over every second one stands in for it.
function chainOf(layers) {
  const nodes = [{ id: 0, name: "input", kind: "input", layer_index: null, module: "", inputs: [] }];
  layers.forEach((layer, index) => {
    nodes.push({
      id: nodes.length,
      name: layer.name,
      kind: layer.kind,
      layer_index: index,
      module: layer.module_stack,
      inputs: [nodes.length - 1],
    });
    if (index % 2 === 1)
      nodes.push({
        id: nodes.length,
        name: "add",
        kind: "add",
        layer_index: null,
        module: "",
        inputs: [nodes.length - 3, nodes.length - 1],
      });
  });
  return nodes;
}
