// Creating nodes, and writing only what changed.

/** Set the text of a node if it differs: an unchanged node causes no layout. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Return a new element with a class, a text and attributes. */
export function make(tag, className = "", text = "", attributes = {}) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text) node.textContent = text;
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}
