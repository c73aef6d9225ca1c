// Tables as text, such as comma-separated values (RFC 4180). Equals data/column_file.py.

import { strip } from "./characters.js";
import { EngineError } from "./errors.js";

const DELIMITERS = ["\t", ";", "|", ","]; // the one that yields the most columns; the first if tied

/**
 * Return the cells of each row, the header first. Rows without text are left out.
 * @param {string} text whose lines end with \n
 */
export function rowsOf(text) {
  const width = (delimiter) => firstRow(text, delimiter).length;
  const delimiter = DELIMITERS.reduce((best, each) => (width(each) > width(best) ? each : best));
  const [header, ...rows] = allRows(text, delimiter);
  if (!rows.length) throw new EngineError("the table has no row below its header");
  for (const { cells, line } of rows) {
    if (cells.length === header.cells.length) continue;
    const what = `line ${line}: ${cells.length} fields, but the header has ${header.cells.length}`;
    throw new EngineError(`${what}; quote fields that contain a delimiter`);
  }
  return [header.cells.map(strip), ...rows.map(({ cells }) => cells)];
}

/** Return the rows; quotes are ordinary characters if they are invalid between tabs. */
function allRows(text, delimiter) {
  try {
    return [...numberedRows(text, delimiter)];
  } catch (error) {
    if (delimiter !== "\t") throw error;
    const rows = text.split("\n").map((line, i) => ({ cells: line.split("\t"), line: i + 1 }));
    return rows.filter(({ cells }) => strip(cells.join("")));
  }
}

function firstRow(text, delimiter) {
  try {
    return numberedRows(text, delimiter).next().value?.cells ?? [];
  } catch {
    return []; // its quotes are invalid
  }
}

/** Yield the cells and the last line of each row that has text. */
function* numberedRows(text, delimiter) {
  const [quoted, plain] = ['"((?:[^"]|"")*)"', `([^"\n${delimiter}][^\n${delimiter}]*)?`];
  const cell = new RegExp(`(?:${quoted}|${plain})([\n${delimiter}]|$)`, "y");
  let [cells, line, end] = [/** @type {string[]} */ ([]), 1, delimiter];
  while (end) {
    const found = cell.exec(text);
    if (!found) {
      throw new EngineError(`line ${line}: the quotes are invalid; double those inside a field`);
    }
    const [whole, inQuotes, outside = ""] = found;
    end = found[3];
    cells.push(inQuotes === undefined ? outside : inQuotes.replaceAll('""', '"'));
    line += whole.split("\n").length - 1;
    if (end === delimiter) continue;
    if (strip(cells.join(""))) yield { cells, line: line - Number(end === "\n") };
    cells = [];
  }
}

/** Return the texts of a column of rows with a header, one per line. A line end in a text becomes a space. */
export function columnText(/** @type {string[][]} */ [, ...rows], /** @type {number} */ column) {
  const texts = rows.map((row) => strip(row[column].replaceAll("\n", " "))).filter(Boolean);
  if (!texts.length) throw new EngineError("the column has no text; use another one");
  return texts.join("\n");
}
