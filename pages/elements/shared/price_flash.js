// The flash of a value that changed.

const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");
const FLASH_MS = 400;
const MARK_MS = 1500;

/** Show that a value rose (`direction` 1) or fell (-1): a background that fades, or a static mark with reduced motion.
 *
 * `veil` covers the cell of the value. Only its opacity changes, which the compositor handles alone. A fading background
 * of the cell would repaint the whole row sixty times a second.
 */
export function flash(veil, direction) {
  const name = direction < 0 ? "down" : "up";
  if (!reducedMotion.matches) {
    veil.dataset.flash = name;
    veil.fading?.cancel();
    veil.fading = veil.animate([{ opacity: 1 }, { opacity: 0 }], { duration: FLASH_MS });
    return;
  }
  veil.dataset.mark = name;
  clearTimeout(veil.markTimer);
  veil.markTimer = setTimeout(() => delete veil.dataset.mark, MARK_MS);
}
