/* Tables of the class "sortable": a click or Enter on a heading sorts by its column; once more turns the order round.
 * Above a long one stands a field: only rows that hold all of its words are shown. */
(function () {
  "use strict";

  const text = (row, column) => row.cells[column].textContent.trim();

  function compare(first, second) {
    const numbers = [Number.parseFloat(first), Number.parseFloat(second)];
    const known = numbers.map((number) => !Number.isNaN(number));
    if (known[0] && known[1]) return numbers[0] - numbers[1];
    if (known[0] !== known[1]) return known[0] ? -1 : 1;
    return first.localeCompare(second);
  }

  function sort(table, heading) {
    const column = heading.cellIndex;
    const direction = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
    const rows = [...table.tBodies[0].rows];
    rows.sort((first, second) => direction * compare(text(first, column), text(second, column)));
    table.tBodies[0].append(...rows);
  }

  const LONG = 25;

  function filter(table, words, count) {
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      const held = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => held.includes(word));
      shown += !row.hidden;
    }
    count.textContent = shown + " of " + table.tBodies[0].rows.length + " rows";
  }

  function addFilter(table) {
    const field = Object.assign(document.createElement("input"), { type: "search", placeholder: "dmlnet expression" });
    const label = Object.assign(document.createElement("label"), { className: "filter", textContent: "Show rows with " });
    const count = Object.assign(document.createElement("span"), { className: "count" });
    const apply = () => filter(table, field.value.toLowerCase().split(/\s+/).filter(Boolean), count);
    count.setAttribute("aria-live", "polite");
    label.append(field, " ", count);
    table.before(label);
    field.addEventListener("input", apply);
    apply();
  }

  document.addEventListener("DOMContentLoaded", () => {
    for (const table of document.querySelectorAll("table.sortable")) {
      if (table.tBodies[0].rows.length > LONG) addFilter(table);
      for (const heading of table.tHead.rows[0].cells) {
        heading.tabIndex = 0;
        heading.addEventListener("click", () => sort(table, heading));
        heading.addEventListener("keydown", (event) => event.key === "Enter" && sort(table, heading));
      }
    }
  });
})();
