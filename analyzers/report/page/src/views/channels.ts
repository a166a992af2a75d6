// The output channels of a layer: a chart, one channel in full, and the table of all.
import { chart, type Series } from "../charts.ts";
import { CAUSES_AND_TOTAL, type CauseOrTotal, type Channels, type LayerDetail } from "../contract.ts";
import { el, replace, section, type Child } from "../dom.ts";
import { definitions } from "../page.ts";
import { go, links } from "../router.ts";
import { dataTable } from "../table.ts";
import { causeWords, count, integer, lsb, percent, real, signed } from "../words.ts";

export interface ChannelAddress {
  id: string;
  index: number;
  target: string;
  input: number;
  channel: number | null;
}

interface Measure {
  label: string;
  format: (value: number | null) => string;
  series: Series[];
}

function measures(channels: Channels): Map<string, Measure> {
  const all = new Map<string, Measure>();
  const keepsInteger = channels.bias_scale.some((scale) => scale > 0);
  if (keepsInteger) {
    all.set("residual", {
      label: "bias residual (stored − float), output LSB",
      format: (value) => (value === null ? "–" : `${signed(value, (number) => real(number, 3))} LSB`),
      series: [{ label: "residual", color: "line-bias", dash: [], bars: true, values: channels.bias_residual_lsb }],
    });
  }
  for (const cause of CAUSES_AND_TOTAL) {
    const columns = channels.causes[cause];
    if (!columns || (cause !== "total" && columns.changed.every((value) => value === 0))) continue;
    all.set(cause, {
      label: `changed codes, ${causeWords(cause)}`,
      format: percent,
      series: [
        {
          label: causeWords(cause),
          color: cause,
          dash: [],
          bars: true,
          values: columns.changed.map((value, i) => (channels.count[i] ? value / (channels.count[i] ?? 1) : null)),
        },
      ],
    });
  }
  all.set("bias", {
    label: "bias, real value",
    format: (value) => real(value),
    series: [{ label: "bias", color: "accent", dash: [], bars: true, values: channels.bias_real }],
  });
  return all;
}

function biasFacts(channels: Channels, c: number): [string, Child][] {
  const scale = channels.bias_scale[c] ?? 0;
  const inFloat = scale === 0;
  return [
    ["Bias, float", real(channels.bias_real[c], 7)],
    ["Bias scale s_b", inFloat ? "the target keeps the bias in float" : real(scale, 6)],
    ["Rounded, before any limit", inFloat ? "–" : integer(channels.bias_rounded[c] ?? 0)],
    ["Stored integer", inFloat ? "–" : integer(channels.bias_stored[c] ?? 0)],
    [
      "Residual (stored − float)",
      inFloat ? "0 LSB" : `${signed(channels.bias_residual_lsb[c] ?? 0, (value) => real(value))} LSB of the output`,
    ],
    [
      "Saturated",
      channels.bias_saturated[c] ? el("b", { class: "error-text" }, "yes: the integer does not hold it") : "no",
    ],
    ["Multiplier M", real(channels.multiplier[c], 6)],
    ["Codes compared", count(channels.count[c])],
  ];
}

function oneChannel(address: ChannelAddress, channels: Channels, c: number): HTMLElement {
  const total = channels.count.length;
  const rows = CAUSES_AND_TOTAL.filter((cause) => channels.causes[cause]);
  const codes = channels.count[c] ?? 0;
  const href = (channel: number) => links.layer(address.id, address.index, address.target, address.input, channel);
  const step = (to: number, text: string): Child =>
    el(
      "button",
      {
        class: "button",
        type: "button",
        id: to < c ? "channel-before" : "channel-after",
        disabled: to < 0 || to >= total,
        onclick: () => go(href(to), false),
      },
      text,
    );
  return el(
    "div",
    { id: "channel", role: "group", "aria-label": `Channel ${c}` },
    el("div", { class: "heading" }, el("h3", null, `Channel ${c}`), step(c - 1, "← Before"), step(c + 1, "After →")),
    el(
      "div",
      { class: "columns" },
      definitions(biasFacts(channels, c)),
      dataTable<CauseOrTotal>({
        caption: `Causes in channel ${c}`,
        rows,
        columns: [
          { id: "cause", label: "Cause", width: 9, cell: (cause) => causeWords(cause) },
          {
            id: "changed",
            label: "Changed",
            numeric: true,
            width: 6,
            cell: (cause) => count(channels.causes[cause]?.changed[c]),
          },
          {
            id: "rate",
            label: "Rate",
            numeric: true,
            width: 5,
            cell: (cause) => (codes ? percent((channels.causes[cause]?.changed[c] ?? 0) / codes) : "–"),
          },
          {
            id: "max",
            label: "Largest",
            numeric: true,
            width: 5,
            cell: (cause) => lsb(channels.causes[cause]?.max_absolute[c]),
          },
          {
            id: "sum",
            label: "Sum, LSB",
            numeric: true,
            width: 5.5,
            cell: (cause) => integer(channels.causes[cause]?.sum[c] ?? 0),
            describe: "Signed sum of the differences",
          },
        ],
      }).element,
    ),
  );
}

function channelsTable(address: ChannelAddress, channels: Channels) {
  const rows = channels.count.map((_, c) => c);
  const rate =
    (cause: CauseOrTotal) =>
    (c: number): number | null => {
      const columns = channels.causes[cause];
      return columns && channels.count[c] ? (columns.changed[c] ?? 0) / (channels.count[c] ?? 1) : null;
    };
  const inFloat = (c: number): boolean => (channels.bias_scale[c] ?? 0) === 0;
  return dataTable<number>({
    caption: "Channels with their bias",
    rows,
    rowHeight: 38,
    id: "channels-table",
    chosen: (c) => c === address.channel,
    columns: [
      {
        id: "channel",
        label: "Channel",
        width: 5.5,
        key: (c) => c,
        cell: (c) =>
          el(
            "a",
            {
              href: links.layer(address.id, address.index, address.target, address.input, c),
              id: `channel-${c}`,
              "aria-current": c === address.channel ? "true" : null,
            },
            String(c),
          ),
      },
      {
        id: "real",
        label: "Bias, float",
        numeric: true,
        width: 8,
        key: (c) => channels.bias_real[c] ?? null,
        cell: (c) => real(channels.bias_real[c], 5),
      },
      {
        id: "stored",
        label: "Bias, int",
        numeric: true,
        width: 8,
        key: (c) => (inFloat(c) ? null : (channels.bias_stored[c] ?? null)),
        cell: (c) => (inFloat(c) ? "float" : integer(channels.bias_stored[c] ?? 0)),
      },
      {
        id: "scale",
        label: "Scale",
        numeric: true,
        width: 7.5,
        key: (c) => channels.bias_scale[c] ?? null,
        cell: (c) => (inFloat(c) ? "–" : real(channels.bias_scale[c])),
      },
      {
        id: "residual",
        label: "Residual, LSB",
        numeric: true,
        width: 7.5,
        key: (c) => Math.abs(channels.bias_residual_lsb[c] ?? 0),
        describe: "Stored minus float, in LSB of the output; ordered by its size",
        cell: (c) => signed(channels.bias_residual_lsb[c] ?? 0, (value) => real(value, 3)),
      },
      {
        id: "saturated",
        label: "Saturated",
        width: 6,
        key: (c) => Number(!channels.bias_saturated[c]),
        cell: (c) => (channels.bias_saturated[c] ? el("b", { class: "error-text" }, "yes") : "no"),
      },
      {
        id: "rounding",
        label: "By rounding",
        numeric: true,
        width: 7,
        key: rate("bias_rounding"),
        cell: (c) => percent(rate("bias_rounding")(c)),
        describe: "Codes that bias rounding changes",
      },
      {
        id: "saturation",
        label: "By saturation",
        numeric: true,
        width: 7,
        key: rate("bias_saturation"),
        cell: (c) => percent(rate("bias_saturation")(c)),
        describe: "Codes that bias saturation changes",
      },
      {
        id: "all",
        label: "All causes",
        numeric: true,
        width: 6.5,
        key: rate("total"),
        cell: (c) => percent(rate("total")(c)),
      },
    ],
  });
}

export function channelsSection(address: ChannelAddress, channels: Channels, detail: LayerDetail): HTMLElement {
  const total = channels.count.length;
  if (total === 0) return section("Channels", {}, el("p", null, "There is no figure by channel."));
  const chosen = address.channel !== null && address.channel >= 0 && address.channel < total ? address.channel : null;
  const href = (c: number) => links.layer(address.id, address.index, address.target, address.input, c);
  const known = measures(channels);
  const first = chosenMeasure && known.has(chosenMeasure) ? chosenMeasure : (known.keys().next().value ?? "bias");
  const place = el("div");
  const draw = (name: string) => {
    const measure = known.get(name);
    if (!measure) return;
    chosenMeasure = name;
    replace(
      place,
      chart({
        title: `Each channel: ${measure.label}`,
        xLabel: "output channel",
        names: channels.count.map((_, c) => `channel ${c}`),
        series: measure.series,
        format: measure.format,
        height: 220,
        start: chosen,
        hrefOf: href,
        onPick: (c) => go(href(c), false),
      }),
    );
  };
  draw(first);
  const saturated = channels.bias_saturated.filter(Boolean).length;
  const table = channelsTable({ ...address, channel: chosen }, channels);
  if (chosen !== null) requestAnimationFrame(() => table.scrollTo(chosen));
  const jump = (event: Event) => {
    event.preventDefault();
    const wanted = Number((document.getElementById("channel-number") as HTMLInputElement).value);
    if (Number.isInteger(wanted) && wanted >= 0 && wanted < total) go(href(wanted), false);
  };
  return section(
    "Channels",
    { id: "channels" },
    el(
      "p",
      { class: "lead" },
      saturated > 0
        ? el(
            "b",
            { class: "error-text" },
            `The stored bias is saturated in ${count(saturated)} of ${count(total)} channels.`,
          )
        : `${count(total)} output channels of ${count(detail.channel_count)}; no stored bias is saturated.`,
    ),
    el(
      "div",
      { class: "controls" },
      el(
        "span",
        null,
        el("label", { for: "channel-measure" }, "Show"),
        el(
          "select",
          { id: "channel-measure", onchange: (event) => draw((event.target as HTMLSelectElement).value) },
          [...known].map(([name, measure]) => el("option", { value: name, selected: name === first }, measure.label)),
        ),
      ),
      el(
        "form",
        { class: "row", onsubmit: jump },
        el("label", { for: "channel-number" }, "Channel"),
        el("input", {
          type: "number",
          id: "channel-number",
          min: 0,
          max: total - 1,
          value: chosen ?? 0,
          required: true,
        }),
        el("button", { class: "button", type: "submit", id: "channel-go" }, "Go"),
      ),
    ),
    place,
    chosen === null
      ? el("p", { class: "soft small" }, "Choose a channel in the chart or the table to see it in full.")
      : oneChannel(address, channels, chosen),
    el("h3", null, "All channels"),
    table.element,
  );
}

// Stays while one goes from layer to layer.
let chosenMeasure = "";
