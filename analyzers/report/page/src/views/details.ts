// What the report keeps of single samples, channels and biases: tables that the server has put into words.
import type { DetailTable } from "../contract.ts";
import { el, section, type Child } from "../dom.ts";
import { links } from "../router.ts";
import { dataTable, type Column } from "../table.ts";
import { displayName } from "../words.ts";

function cellOf(id: string, target: string, table: DetailTable, row: DetailTable["rows"][number], at: number): Child {
  const text = displayName(row.cells[at] ?? "");
  if (table.columns[at]?.kind !== "name" || row.layer_index === null) return text;
  return el("a", { href: links.layer(id, row.layer_index, target, 0), class: "clip", title: text }, text);
}

export function detailSections(id: string, target: string, tables: DetailTable[]): Child {
  return tables.map((table, index) => {
    const columns = table.columns.map(
      (column, at): Column<DetailTable["rows"][number]> => ({
        id: `${index}-${at}`,
        label: column.title,
        numeric: column.kind === "number",
        width: at === 0 && column.kind !== "number" ? 12 : column.kind === "text" ? 11 : 7,
        cell: (row) => cellOf(id, target, table, row, at),
      }),
    );
    return section(
      table.title,
      { id: `detail-${index}` },
      el("p", { class: "lead" }, `${table.caption}.`),
      dataTable({ caption: table.title, rows: table.rows, columns }).element,
    );
  });
}
