// Ordering rows by hand: with the mouse, or with a finger that first rests on a row. The grid knows the keys.

const HOLD_MS = 400; // a finger rests so long on a row that is to be moved
const SLIP_PX = 8; // a finger that moves farther before scrolls the list
const EDGE_PX = 40; // near the edge of the list, a row that is carried scrolls it

/** The place from the top that a row gets when it is dropped on another one. */
function placeOf(order, symbol, target, isBelow) {
  const others = order.filter((other) => other !== symbol);
  return others.indexOf(target) + (isBelow ? 1 : 0);
}

/** Where a row that is carried would come to lie, marked on the row below the pointer. */
class DropTarget {
  constructor() {
    this.row = null;
  }

  /** Mark what is below the pointer; nothing without a row. */
  mark(row, clientY) {
    if (this.row) delete this.row.dataset.drop;
    this.row = row;
    if (!row) return;
    const { top, height } = row.getBoundingClientRect();
    row.dataset.drop = clientY > top + height / 2 ? "below" : "above";
  }

  /** Return the place of `symbol` if it is dropped now, or null. */
  place(order, symbol) {
    if (!this.row) return null;
    return placeOf(order, symbol, this.row.dataset.symbol, this.row.dataset.drop === "below");
  }
}

/** Let the rows of `body` be dragged with the mouse. `orderOf` returns their symbols; `onMove` is called with a symbol and
 * its place. */
export function letRowsBeDragged(body, orderOf, onMove) {
  const target = new DropTarget();
  let dragged = null;

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
    target.mark(row === dragged ? null : row, event.clientY);
  });
  body.addEventListener("drop", (event) => {
    event.preventDefault();
    const symbol = dragged?.dataset.symbol;
    const place = dragged && target.place(orderOf(), symbol);
    if (place !== null) onMove(symbol, place);
    target.mark(null);
  });
  body.addEventListener("dragend", () => {
    dragged = null;
    target.mark(null);
  });
}

/** Let a row be carried by a finger that rests on it first; `scroller` is what scrolls. `orderOf` and `onMove` as for
 * `letRowsBeDragged`; `onCarry` is called with whether a row is carried. */
export function letRowsBeCarried(body, scroller, { orderOf, onMove, onCarry }) {
  const target = new DropTarget();
  let touched = null; // the row below the finger
  let from = null; // where the finger came down
  let timer = null;
  let isCarried = false;
  let hasMoved = false; // since it is carried

  function lift() {
    isCarried = true;
    touched.dataset.carried = "";
    onCarry(true);
  }

  function end() {
    clearTimeout(timer);
    target.mark(null);
    if (isCarried) {
      delete touched.dataset.carried;
      onCarry(false);
    }
    isCarried = false;
    hasMoved = false;
    touched = null;
  }

  function scroll(clientY) {
    const { top, bottom } = scroller.getBoundingClientRect();
    if (clientY > bottom - EDGE_PX) scroller.scrollBy(0, touched.offsetHeight / 2);
    else if (clientY < top + touched.offsetHeight + EDGE_PX) scroller.scrollBy(0, -touched.offsetHeight / 2);
  }

  function follow(event) {
    const [{ clientX, clientY }] = event.touches;
    if (!isCarried) {
      if (touched && Math.hypot(clientX - from.clientX, clientY - from.clientY) > SLIP_PX) end();
      return;
    }
    event.preventDefault(); // the list stays where it is
    hasMoved = true;
    scroll(clientY);
    const row = document.elementFromPoint(clientX, clientY)?.closest("tr");
    target.mark(row && row !== touched && body.contains(row) ? row : null, clientY);
  }

  body.addEventListener(
    "touchstart",
    (event) => {
      end();
      if (event.touches.length > 1 || event.target.closest("button")) return;
      touched = event.target.closest("tr");
      [from] = event.touches;
      timer = setTimeout(lift, HOLD_MS);
    },
    { passive: true },
  );
  body.addEventListener("touchmove", follow, { passive: false });
  body.addEventListener("touchend", (event) => {
    if (hasMoved) event.preventDefault(); // it is no tap
    const { symbol } = touched?.dataset ?? {};
    const place = hasMoved ? target.place(orderOf(), symbol) : null;
    end();
    if (place !== null) onMove(symbol, place);
  });
  body.addEventListener("touchcancel", end);
  // Holding a finger opens a menu, or drags as a mouse would, unless it is told not to.
  body.addEventListener("contextmenu", (event) => touched && event.preventDefault());
  body.addEventListener("dragstart", (event) => {
    if (!touched) return;
    event.preventDefault();
    event.stopImmediatePropagation();
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
