// Ordering rows by hand: with the mouse, or with Alt and the arrow keys.

/** The place from the top that a row gets when it is dropped on another one. */
function placeOf(order, symbol, target, isBelow) {
  const others = order.filter((other) => other !== symbol);
  return others.indexOf(target) + (isBelow ? 1 : 0);
}

/** Let the rows of `body` be dragged. `orderOf` returns their symbols; `onMove` is called with a symbol and its place. */
export function letRowsBeDragged(body, orderOf, onMove) {
  let dragged = null;
  let target = null;

  function mark(row, isBelow) {
    if (target) delete target.dataset.drop;
    target = row;
    if (row) row.dataset.drop = isBelow ? "below" : "above";
  }

  body.addEventListener("dragstart", (event) => {
    dragged = event.target.closest?.("tr");
    if (!dragged) return;
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", dragged.dataset.symbol);
  });
  body.addEventListener("dragover", (event) => {
    const row = event.target.closest("tr");
    if (!dragged || !row) return;
    event.preventDefault();
    const { top, height } = row.getBoundingClientRect();
    mark(row === dragged ? null : row, event.clientY > top + height / 2);
  });
  body.addEventListener("drop", (event) => {
    event.preventDefault();
    if (dragged && target) {
      const symbol = dragged.dataset.symbol;
      onMove(symbol, placeOf(orderOf(), symbol, target.dataset.symbol, target.dataset.drop === "below"));
    }
    mark(null);
  });
  body.addEventListener("dragend", () => {
    dragged = null;
    mark(null);
  });
}

/** Bring the nodes of `body` into this order. A node that is in its place is not touched, so it keeps the focus. */
export function arrangeNodes(body, nodes) {
  const wanted = new Set(nodes);
  for (const node of [...body.children]) if (!wanted.has(node)) node.remove();
  let next = body.firstChild;
  for (const node of nodes) {
    if (node === next) next = next.nextSibling;
    else body.insertBefore(node, next);
  }
}
