// Tables with a caption, row headers, sortable columns; beyond a few hundred rows only those in sight are in the document.
import { el, replace, style, type Child } from "./dom.ts";

export interface Column<Row> {
  id: string;
  label: string;
  cell: (row: Row) => Child;
  numeric?: boolean;
  // rem; the first column takes what is left.
  width: number;
  key?: (row: Row) => number | string | null;
  describe?: string;
}

export interface TableOptions<Row> {
  caption: string;
  columns: Column<Row>[];
  rows: Row[];
  id?: string;
  sort?: string;
  descending?: boolean;
  onSort?: (column: string, descending: boolean) => void;
  chosen?: (row: Row) => boolean;
  // Pixels of a row. Given, all rows have this height and long tables are virtualised.
  rowHeight?: number;
}

export interface Table<Row> {
  element: HTMLElement;
  setRows: (rows: Row[]) => void;
  scrollTo: (row: number) => void;
}

const WHOLE = 200;
const OVERSCAN = 12;
const NARROWEST = 9.5;

function compare(a: number | string | null, b: number | string | null, descending: boolean): number {
  // What is not defined comes last in either order.
  if (a === null || b === null) return Number(a === null) - Number(b === null);
  const order =
    typeof a === "number" && typeof b === "number"
      ? a - b
      : String(a).localeCompare(String(b), "en", { numeric: true });
  return descending ? -order : order;
}

export function dataTable<Row>(options: TableOptions<Row>): Table<Row> {
  const { columns, caption } = options;
  let sort = options.sort ?? "";
  let descending = options.descending ?? false;
  let unsorted = options.rows;
  let rows: Row[] = [];
  let drawn = "";

  // On a phone the first column stays in sight while the others scroll, so it is kept narrow.
  const narrow = window.innerWidth <= 600;
  const width = columns.reduce(
    (sum, column, i) => sum + (i === 0 && narrow ? Math.min(NARROWEST, column.width) : column.width),
    0,
  );
  const body = el("tbody");
  const head = el("tr");
  const table = style(
    el(
      "table",
      { class: options.rowHeight ? "fixed" : null },
      el("caption", { class: "visually-hidden" }, caption),
      el(
        "colgroup",
        null,
        columns.map((column, i) => (i === 0 ? el("col") : style(el("col"), { width: `${column.width}rem` }))),
      ),
      el("thead", null, head),
      body,
    ),
    { "min-width": `${width}rem`, "--row": `${options.rowHeight ?? 0}px` },
  );
  const element = el(
    "div",
    { class: "table", role: "region", "aria-label": caption, tabindex: 0, id: options.id ?? null },
    table,
  );

  const line = (row: Row, index: number): HTMLElement =>
    el(
      "tr",
      { class: options.chosen?.(row) ? "chosen" : null, "aria-rowindex": index + 2, "aria-selected": null },
      columns.map((column, i) =>
        i === 0
          ? el("th", { scope: "row" }, column.cell(row))
          : el("td", { class: column.numeric ? "n" : null }, column.cell(row)),
      ),
    );

  const space = (height: number): Child =>
    height > 0
      ? el(
          "tr",
          { class: "space", "aria-hidden": "true" },
          style(el("td", { colspan: columns.length }), { height: `${height}px` }),
        )
      : null;

  const draw = (force: boolean) => {
    const height = options.rowHeight;
    if (!height || rows.length <= WHOLE) {
      if (force) replace(body, rows.map(line));
      return;
    }
    const first = Math.max(0, Math.floor(element.scrollTop / height) - OVERSCAN);
    const last = Math.min(rows.length, first + Math.ceil((element.clientHeight || 700) / height) + 2 * OVERSCAN);
    if (!force && drawn === `${first}:${last}`) return;
    drawn = `${first}:${last}`;
    const focused =
      document.activeElement instanceof HTMLElement && body.contains(document.activeElement)
        ? document.activeElement.id
        : "";
    replace(
      body,
      space(first * height),
      rows.slice(first, last).map((row, i) => line(row, first + i)),
      space((rows.length - last) * height),
    );
    if (focused) {
      const again = document.getElementById(focused);
      if (again) again.focus({ preventScroll: true });
      else element.focus({ preventScroll: true });
    }
  };

  const arrange = () => {
    const column = columns.find((candidate) => candidate.id === sort);
    const key = column?.key;
    rows = key ? [...unsorted].sort((a, b) => compare(key(a), key(b), descending)) : unsorted;
    table.setAttribute("aria-rowcount", String(rows.length + 1));
    element.classList.toggle("short", rows.length <= 12);
    element.classList.toggle("wide", width > 20);
    draw(true);
  };

  const header = () => {
    replace(
      head,
      columns.map((column) => {
        const current = column.id === sort;
        const turn = () => {
          // Figures start with the largest, names with the first.
          descending = current ? !descending : Boolean(column.numeric);
          sort = column.id;
          header();
          element.scrollTop = 0;
          arrange();
          options.onSort?.(sort, descending);
          head.querySelector<HTMLElement>("th[aria-sort] button")?.focus();
        };
        return el(
          "th",
          {
            scope: "col",
            class: column.numeric ? "n" : null,
            title: column.describe ?? null,
            "aria-sort": column.key && current ? (descending ? "descending" : "ascending") : null,
          },
          column.key ? el("button", { type: "button", onclick: turn }, column.label) : column.label,
        );
      }),
    );
  };

  let waiting = false;
  element.addEventListener(
    "scroll",
    () => {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        draw(false);
      });
    },
    { passive: true },
  );

  header();
  arrange();
  return {
    element,
    setRows: (next) => {
      unsorted = next;
      arrange();
    },
    scrollTo: (index) => {
      if (options.rowHeight) element.scrollTop = Math.max(0, (index - 3) * options.rowHeight);
    },
  };
}
