// The head of a table: a button in each cell sorts by its column.
import { make } from "dom";

/** Return the head of `columns`, a list of `{name, title, hint, fixed}`. `onSort` is called with the name of a column
 * that is not fixed. */
export function buildHead(columns, onSort) {
  const head = make("thead", "", "", { role: "rowgroup" });
  const row = make("tr", "", "", { role: "row", "aria-rowindex": "1" });
  for (const { name, title, hint, fixed } of columns) {
    const cell = make("th", `col-${name}`, "", { scope: "col", role: "columnheader", "data-column": name });
    row.append(cell);
    if (fixed) {
      cell.append(make("span", "", title, { title: hint }));
      continue;
    }
    const button = make("button", "", title, { type: "button", title: hint });
    button.append(make("span", "sort-mark", "", { "aria-hidden": "true" }));
    button.addEventListener("click", () => onSort(name));
    cell.append(button);
  }
  head.append(row);
  return head;
}

/** Mark the column that the rows are sorted by. */
export function markSorted(head, sort, isDescending) {
  for (const cell of head.querySelectorAll("th")) {
    const mark = cell.querySelector(".sort-mark");
    if (!mark) continue;
    const isSorted = cell.dataset.column === sort;
    cell.setAttribute("aria-sort", isSorted ? (isDescending ? "descending" : "ascending") : "none");
    mark.textContent = isSorted ? (isDescending ? "▼" : "▲") : "";
  }
}
